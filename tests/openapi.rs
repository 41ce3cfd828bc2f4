//! schemathesis asks the gateway for everything that its description names, with values that fit it and
//! values that do not: no fault, no answer that is not described, no wrong value that is taken.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::TempDir;
use support::gateway::Gateway;
use support::process::Process;

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\n";
const KEY: &str = "cpk_0123456789abcdef0123456789abcdef";

#[test]
fn the_api_is_as_it_is_described() {
    let dir = TempDir::new("openapi");
    let here = dir.path().display();
    let config = format!(
        "dialplan = \"{here}/plan.toml\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\nadmin = \"key\"\n\
         operator_key_file = \"{here}/operator.key\"\n\
         [api_key.tests]\nkey = \"{KEY}\"\npermissions = [\"calls:read\", \"calls:write\", \
         \"records:read\", \"recordings:read\", \"recordings:write\", \"config:read\", \"config:write\", \
         \"ivr:read\", \"ivr:write\", \"tokens:write\", \"metrics:read\"]\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\nwebrtc_port = 0\n\
         address = \"127.0.0.1\"\n[store]\nurl = \"sqlite:{here}/crosspoint.db\"\n[auth]\n\
         token_secret_file = \"{here}/token.key\"\n[user.web]\ncountry = \"DE\"\n\
         [trunk.phone]\ntarget = \"sip:127.0.0.1:9\"\n"
    );
    let gateway = Gateway::of_files(dir, &config, PLAN, "info");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/schemathesis/bin/schemathesis");
    assert!(program.exists(), "schemathesis is missing: run tools/setup.sh test");
    let mut command = Command::new(program);
    command.current_dir(gateway.dir.path()).args(["run", "--no-color", "--seed", "1"]);
    command.arg(format!("{}/openapi.json", gateway.base));
    command.args(["--header", &format!("Authorization: Bearer {KEY}")]);
    // A stream has no end; the test of a trunk that is not there takes seconds each.
    command.args(["--exclude-path", "/v1/events", "--exclude-path-regex", "actions/test"]);
    // A plan is a text: what a schema calls a wrong type is a text like another. `api::tests::dialplan` and
    // `tests/dialplan_mutants.rs` send wrong ones.
    command.args(["--exclude-path", "/v1/dialplan", "--exclude-path", "/v1/dialplan/check"]);
    // What a value must mean (a user that exists, a time, a number that is complete) no schema says.
    command.args(["--exclude-checks", "positive_data_acceptance"]);
    command.args([
        "--max-examples",
        "20",
        "--request-timeout",
        "30",
        "--generation-database",
        "none",
    ]);
    let mut process = Process::start("schemathesis", &mut command);
    let status = process.wait(Duration::from_secs(400));
    assert!(status.success(), "{}", process.output());
    assert!(!gateway.process.output().contains("panicked"));
}
