#!/usr/bin/env bash
# Installs what the build and its tests need and is not there, through the system's package manager; where it cannot, it says
# exactly what to install. Does nothing when everything is there.
set -euo pipefail

# command the build or its tests call | Debian package | Fedora package
needs=(
  "cc|gcc|gcc"
  "make|make|make"
  "c++|g++|gcc-c++"
  "psql|postgresql-client|postgresql"
  "python3|python3|python3"
  "node|nodejs|nodejs"
  "npm|npm|npm"
  "javac|default-jdk-headless|java-latest-openjdk-headless"
)

missing_deb=() missing_rpm=()
for need in "${needs[@]}"; do
  IFS='|' read -r tool deb rpm <<<"$need"
  command -v "$tool" >/dev/null || { missing_deb+=("$deb"); missing_rpm+=("$rpm"); }
done
# The linker needs the C library's start files, which come apart from the compiler.
if ! command -v cc >/dev/null || [ "$(cc -print-file-name=crt1.o)" = crt1.o ]; then
  missing_deb+=(libc6-dev); missing_rpm+=(glibc-devel)
fi
# Postgres' driver for Java is a library; the tests look for it here.
if [ "$(uname)" = Linux ] && [ ! -e /usr/share/java/postgresql.jar ]; then
  missing_deb+=(libpostgresql-jdbc-java); missing_rpm+=(postgresql-jdbc)
fi
# Drivers of Python are tested in an environment of their own; Debian has what makes one apart.
if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  missing_deb+=(python3-venv)
fi
# RocksDB's bindings are made by libclang, which is a library: with the C headers of its own it is where LLVM is.
# LIBCLANG_PATH says where it is otherwise.
libclang=$(compgen -G "${LIBCLANG_PATH:-/nowhere}/libclang*.so*" ||
  compgen -G "/usr/lib/llvm*/lib/libclang*.so*" ||
  compgen -G "/usr/lib*/libclang*.so*" ||
  compgen -G "/usr/lib*/llvm*/lib*/libclang*.so*" ||
  compgen -G "/usr/lib/*-linux-gnu/libclang*.so*" || true)
libclang=$(grep -v -e libclang-cpp -e libclang_rt <<<"$libclang" || true)
headers=$(compgen -G "/usr/lib*/llvm*/lib*/clang/*/include/stddef.h" ||
  compgen -G "/usr/lib*/clang/*/include/stddef.h" || true)
if [ "$(uname)" = Linux ] && { [ -z "$libclang" ] || [ -z "$headers" ]; }; then
  missing_deb+=(libclang-dev); missing_rpm+=(clang-devel)
fi

if [ ${#missing_deb[@]} -gt 0 ]; then
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && as_root=sudo
  fi
  if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || [ -n "$as_root" ]; }; then
    echo "installing: ${missing_deb[*]}"
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "${missing_deb[@]}"
  elif command -v dnf >/dev/null && { [ "$(id -u)" = 0 ] || [ -n "$as_root" ]; }; then
    echo "installing: ${missing_rpm[*]}"
    $as_root dnf install -y -q "${missing_rpm[@]}"
  else
    echo "please install: ${missing_deb[*]} (names as in Debian), then run this again" >&2
    exit 1
  fi
fi

if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml") or newer from https://rustup.rs, then run this again" >&2
  exit 1
fi
