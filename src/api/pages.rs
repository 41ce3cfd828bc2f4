//! The web phone's files and the client library, compiled into the program.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// One route per file. Browsers ask each time, so that a new gateway is never met by an old page.
pub(super) fn routes() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, kind, bytes)| {
        let file = async || {
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")];
            (headers, *bytes).into_response()
        };
        router.route(path, get(file))
    })
}

#[rustfmt::skip]
const FILES: &[(&str, &str, &[u8])] = &[
    ("/",          "text/html; charset=utf-8",       include_bytes!("../../web/phone/index.html")),
    ("/phone.css", "text/css; charset=utf-8",        include_bytes!("../../web/phone/phone.css")),
    ("/app.js",    "text/javascript; charset=utf-8", include_bytes!("../../web/phone/app.js")),
    ("/phone.js",  "text/javascript; charset=utf-8", include_bytes!("../../web/dist/phone.js")),
    ("/icon.svg",  "image/svg+xml",                  include_bytes!("../../web/phone/icon.svg")),
    ("/sdk.js",    "text/javascript; charset=utf-8", include_bytes!("../../web/dist/sdk.js")),
    ("/sdk.d.ts",  "text/plain; charset=utf-8",      include_bytes!("../../web/dist/sdk.d.ts")),
];
