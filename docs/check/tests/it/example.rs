//! The worked example of the document runs as it stands there.

use icefarm_docs_check::{Document, Schemas};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn icefarm(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["run", "--quiet", "--package", "icefarm", "--"]);
    command
}

/// `icefarm up`, and its address.
fn up(root: &Path) -> (Up, String) {
    let mut up = icefarm(root)
        .args(["up", "--boards", "2", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(up.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.trim().strip_prefix("listening on ").unwrap().to_owned();
    (Up(up), url)
}

#[test]
#[ignore = "needs curl, Python and its websocket-client; `cargo xtask test --all` runs it"]
fn the_example_runs_as_it_stands_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = Document::protocol().unwrap();
    let (_up, url) = up(&root);
    let print = |program: &str, code: &str, args: &[&str]| {
        let code = code.replace("http://127.0.0.1:8080", &url);
        let run = Command::new(program).current_dir(&root).arg("-c").arg(code).args(args).output();
        let run = run.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(run.status.success(), "{program}: {}", text(&run.stderr));
        text(&run.stdout)
    };
    // Boards are flashed and tested first.
    let wait = r#"until curl -s http://127.0.0.1:8080/available | grep -q :2; do sleep 0.2; done"#;
    print("bash", wait, &[]);
    let answers = print("bash", &document.code("sh", "example"), &[]);
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!(lines[0], r#"{"amount":2}"#);
    assert!(lines[1].starts_with(r#"{"SIM"#) && lines[2].starts_with(r#"["SIM"#), "{answers}");
    let circuit = "examples/circuits/pulses_1000.bin";
    let figure = print("python3", &document.code("python", "example"), &[circuit]);
    assert_eq!(figure, "1000\n");

    // The program itself prints lines of the schema.
    let schemas = Schemas::load().unwrap();
    let circuits = ["evaluate", "examples/circuits", "--json", "--control", &url];
    let printed = icefarm(&root).args(circuits).stderr(Stdio::null()).output().unwrap();
    let lines = String::from_utf8(printed.stdout).unwrap();
    assert!(lines.lines().count() >= 6, "{lines}");
    for line in lines.lines() {
        schemas.check("evaluation#line", &serde_json::from_str(line).unwrap()).unwrap();
    }
}
