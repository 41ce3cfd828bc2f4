# The gateway as an image: `docker build -t crosspoint .`
# Debian's libopus, a user without rights, no shell tools beyond Debian's slim image. `docker build` fetches
# Debian's packages and the crates of Cargo.lock, nothing else.

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain, without the components that rust-toolchain.toml wants for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake libopus-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# The crates that the gateway needs are a layer of their own, by a program that does nothing: a change of the
# gateway's source builds the gateway and none of them. What cargo believes to know of that program goes.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches \
 && for file in src/lib src/main benches/calls benches/dialplan benches/ivr; do \
      printf '//! Nothing yet.\n#![allow(dead_code)]\nfn main() {}\n' >"$file.rs"; done \
 && cargo build --release --locked \
 && rm -r src target/release/.fingerprint/crosspoint-*
COPY . .
# Without the tables of lines, most of its size; names of functions stay for backtraces.
RUN cargo build --release --locked --bin crosspoint \
 && strip --strip-debug -o /crosspoint target/release/crosspoint

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libopus0 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 crosspoint \
 && useradd --uid 10001 --gid 10001 --shell /usr/sbin/nologin --home-dir /var/lib/crosspoint --create-home crosspoint
COPY --from=build /crosspoint /usr/local/bin/crosspoint
USER crosspoint
# The spool of the records, and the database where it is SQLite.
WORKDIR /var/lib/crosspoint
VOLUME /var/lib/crosspoint
# The slim image has no HTTP client; bash can speak enough of it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["crosspoint"]
CMD ["serve", "--config", "/etc/crosspoint/crosspoint.toml"]
