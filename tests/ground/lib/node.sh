# Sourced by ground, fault and browser-login: where the npm packages are, and a node of version 20 or newer first in PATH.
NPM=${GROUND_NPM:-${GROUND_NODE_MODULES:+${GROUND_NODE_MODULES%/node_modules}}}
NPM=${NPM:-${GROUND:-${TMPDIR:-/tmp}/ground}/npm}
node_is_new() { command -v node >/dev/null && (( $(node -p 'process.versions.node.split(".")[0]') >= 20 )); }
use_own_node() { [[ ! -x $NPM/node/node_modules/node/bin/node ]] || export PATH=$NPM/node/node_modules/node/bin:$PATH; }
use_own_node
