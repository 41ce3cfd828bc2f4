# The gateway as an image: `docker build -t crosspoint .`
# Debian's libopus, a user without rights, no shell tools beyond Debian's slim image.

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain, without the components that rust-toolchain.toml wants for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake libopus-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin crosspoint

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libopus0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/crosspoint --create-home crosspoint
COPY --from=build /source/target/release/crosspoint /usr/local/bin/crosspoint
USER crosspoint
# The spool of the records, and the database where it is SQLite.
WORKDIR /var/lib/crosspoint
VOLUME /var/lib/crosspoint
# The slim image has no HTTP client; bash can speak enough of it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["crosspoint"]
CMD ["serve", "--config", "/etc/crosspoint/crosspoint.toml"]
