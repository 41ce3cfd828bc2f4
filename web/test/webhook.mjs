// A receiver of webhooks for the tests: it checks each with the library of Standard Webhooks, and misbehaves
// where the path says so. One line of JSON a request goes to standard output, the port before all.
//
//   node webhook.mjs 'whsec_…'
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const library = new Webhook(process.argv[2]);
const seen = new Map();
const answer = (response, to) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ to }));

const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  let verified = true;
  try {
    library.verify(body, request.headers);
  } catch (error) {
    verified = String(error);
  }
  const key = `${request.url} ${request.headers["webhook-id"]}`;
  const tries = (seen.get(key) ?? 0) + 1;
  seen.set(key, tries);
  process.stdout.write(`${JSON.stringify({ path: request.url, verified, tries, id: request.headers["webhook-id"], body: JSON.parse(body) })}\n`);
  switch (request.url) {
    case "/twice": response.writeHead(tries < 2 ? 503 : 204).end(); break;
    case "/hang": break;
    case "/redirect": response.writeHead(302, { location: "/inside" }).end(); break;
    case "/big": {
      // As much as is taken: whoever reads it all is never done.
      response.writeHead(200, { "content-type": "text/plain" });
      const more = () => { while (response.write("x".repeat(65536))); };
      response.on("drain", more);
      response.on("error", () => {});
      more();
      break;
    }
    case "/help": answer(response, "number:112"); break;
    case "/code": answer(response, "number:600"); break;
    case "/decides": answer(response, "user:web"); break;
    case "/nonsense": response.writeHead(200).end(JSON.stringify({ to: "ring:nobody" })); break;
    default: response.writeHead(200).end();
  }
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`listening ${server.address().port}\n`));
