//! The web phone's files, the operator's pages and the client library, compiled into the program.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// One route per file. Browsers ask each time, so that a new gateway is never met by an old page.
pub(super) fn routes() -> Router {
    files(Router::new(), FILES)
}

/// The operator's pages: one page for all of their addresses.
pub(super) fn admin() -> Router {
    let page = async || {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, include_str!("../../web/admin/index.html")).into_response()
    };
    let router = Router::new().route("/admin", get(page)).route("/admin/{*screen}", get(page));
    files(router, ADMIN)
}

fn files(router: Router, files: &'static [File]) -> Router {
    files.iter().fold(router, |router, (path, kind, bytes)| {
        let file = async || {
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")];
            (headers, *bytes).into_response()
        };
        router.route(path, get(file))
    })
}

/// Path, media type, content.
type File = (&'static str, &'static str, &'static [u8]);

#[rustfmt::skip]
const ADMIN: &[File] = &[
    ("/admin/admin.js",  "text/javascript; charset=utf-8", include_bytes!("../../web/dist/admin.js")),
    ("/admin/admin.css", "text/css; charset=utf-8",        include_bytes!("../../web/dist/admin.css")),
];

#[rustfmt::skip]
const FILES: &[File] = &[
    ("/",          "text/html; charset=utf-8",       include_bytes!("../../web/phone/index.html")),
    ("/phone.css", "text/css; charset=utf-8",        include_bytes!("../../web/phone/phone.css")),
    ("/app.js",    "text/javascript; charset=utf-8", include_bytes!("../../web/phone/app.js")),
    ("/phone.js",  "text/javascript; charset=utf-8", include_bytes!("../../web/dist/phone.js")),
    ("/icon.svg",  "image/svg+xml",                  include_bytes!("../../web/phone/icon.svg")),
    ("/sdk.js",    "text/javascript; charset=utf-8", include_bytes!("../../web/dist/sdk.js")),
    ("/sdk.d.ts",  "text/plain; charset=utf-8",      include_bytes!("../../web/dist/sdk.d.ts")),
];
