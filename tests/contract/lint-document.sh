#!/bin/sh
# Check docs/openapi.json against the rules of Redocly, Spectral and OWASP. Any warning fails. Needs Node 20 or newer.
# Network access is limited to these packages, and only if npm has not cached them.
set -eu
cd "$(dirname "$0")/../.."

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true SCARF_ANALYTICS=false DO_NOT_TRACK=1
export npm_config_ignore_scripts=true npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false

document=${1:-docs/openapi.json}
npx --yes @redocly/cli@2.77.0 lint --extends=recommended-strict "$document"

# Spectral resolves rule sets relative to the file that names them. Git ignores node_modules.
packages='@stoplight/spectral-cli@6.16.3 @stoplight/spectral-owasp-ruleset@2.0.1'
modules=tests/contract/node_modules
if [ "$(cat $modules/.installed 2>/dev/null)" != "$packages" ]; then
    npm install --prefix=tests/contract --no-save --no-package-lock --loglevel=error $packages
    echo "$packages" >$modules/.installed
fi
$modules/.bin/spectral lint --ruleset=tests/contract/spectral.yaml --fail-severity=hint "$document"
