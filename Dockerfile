# Builds the binary as `make build` does, and puts it alone into a small image. The build takes a quarter of an hour or so.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends clang libclang-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin eddyline

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/eddyline --create-home eddyline
COPY --from=build /src/target/release/eddyline /usr/local/bin/eddyline
USER eddyline
WORKDIR /var/lib/eddyline
VOLUME /var/lib/eddyline
EXPOSE 4566 4567
ENTRYPOINT ["eddyline"]
# A container is reached from outside of it, and root has no password: publish the ports to 127.0.0.1 alone, or give it one (EDDYLINE_ROOT_PASSWORD_FILE).
CMD ["serve", "--data-dir", "/var/lib/eddyline/data", "--listen", "0.0.0.0:4566", "--insecure", "--log-format", "json"]
