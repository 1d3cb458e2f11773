//! `cargo xtask guide`: follows `states/README.md` to the letter, in a folder outside of the
//! repository.

use super::process::{Server, run};
use super::{fresh, repository, target};
use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The page, seen from the repository.
const PAGE: &str = "states/README.md";

/// Where the page says that the repository is.
const HOME: &str = "https://github.com/icefarm/icefarm";

/// One thing that the page tells its reader.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    /// A file with this content, by the path in its first line.
    Write { path: &'a str, content: &'a str },
    /// Commands for the first terminal.
    Shell(&'a str),
    /// A command in another terminal, which goes on.
    Server { folder: &'a str, command: &'a str },
    /// What the last commands print; `..` stands for anything within a line.
    Expect(Vec<&'a str>),
}

/// Follows the page. With `--clone` as a newcomer does: the repository is cloned, which takes its
/// last commit, nothing is compiled beforehand, and the servers take their usual ports.
pub(crate) fn follow(args: &[String]) -> Result {
    let newcomer = match args {
        [] => false,
        [flag] if flag == "--clone" => true,
        _ => return Err("usage: cargo xtask guide [--clone]".into()),
    };
    let page = fs::read_to_string(repository().join(PAGE))?;
    let steps = steps(&page)?;
    let base = fresh("icefarm-guide")?;
    let begun = Instant::now();
    let mut reader = Reader { newcomer, cwd: base.clone(), base, servers: Vec::new() };
    let mut said = String::new();
    for step in steps {
        let seconds = begun.elapsed().as_secs();
        println!("\n[{} min {:02} s] {}", seconds / 60, seconds % 60, title(&step));
        match step {
            Step::Write { path, content } => fs::write(reader.base.join(path), content)?,
            Step::Shell(commands) => said = reader.shell(commands)?,
            Step::Server { folder, command } => reader.server(folder, command)?,
            Step::Expect(lines) => {
                if let Some(missing) =
                    lines.iter().find(|line| !said.lines().any(|is| fits(line, is)))
                {
                    return Err(format!("{PAGE} promises the line `{missing}`").into());
                }
            }
        }
    }
    let seconds = begun.elapsed().as_secs();
    println!("\n[{} min {:02} s] the end of {PAGE}", seconds / 60, seconds % 60);
    Ok(())
}

fn title(step: &Step<'_>) -> String {
    match step {
        Step::Write { path, content } => format!("{path}: {} lines", content.lines().count()),
        Step::Shell(commands) => format!("$ {}", commands.trim_end().replace('\n', "\n$ ")),
        Step::Server { command, .. } => format!("in another terminal: $ {command}"),
        Step::Expect(lines) => format!("as promised: {}", lines.join(" | ")),
    }
}

/// Who follows the page.
struct Reader {
    newcomer: bool,
    base: PathBuf,
    cwd: PathBuf,
    servers: Vec<Server>,
}

impl Reader {
    fn shell(&mut self, commands: &str) -> Result<String> {
        let note = self.base.join(".cwd");
        let mut script = String::new();
        for line in commands.lines() {
            if !self.newcomer && line.starts_with("git clone ") {
                // The working copy, with what is not committed yet.
                let folder = line.rsplit(' ').next().unwrap_or_default();
                script.push_str(&format!("ln -s '{}' {folder}\n", repository().display()));
            } else {
                script.push_str(line);
                script.push('\n');
            }
        }
        script.push_str(&format!("pwd > '{}'\n", note.display()));
        let said = run(self.bash(&script).current_dir(&self.cwd))?;
        self.cwd = fs::read_to_string(note)?.trim_end().into();
        Ok(said)
    }

    fn server(&mut self, folder: &str, command: &str) -> Result {
        // The shell becomes the program, so that ending the one ends the other.
        let mut bash = self.bash(&format!("exec {command}"));
        let server = Server::start(bash.current_dir(self.base.join(folder)))?;
        self.servers.push(server);
        Ok(())
    }

    fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]);
        if self.newcomer {
            bash.env_remove("CARGO_TARGET_DIR");
            bash.env("GIT_CONFIG_COUNT", "1");
            bash.env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", repository().display()));
            bash.env("GIT_CONFIG_VALUE_0", HOME);
            return bash;
        }
        // Of what was compiled here much is used again, if it is compiled in the same way.
        bash.env("CARGO_TARGET_DIR", target());
        bash.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        // Ports by the system: somebody may have a farm on this machine.
        bash.env("ICEFARM_CONTROL_LISTEN", "127.0.0.1:0");
        bash.env("ICEFARM_WORKER_LISTEN", "127.0.0.1:0");
        if let Some(control) = self.servers.first() {
            bash.env("ICEFARM_CONTROL", &control.url);
        }
        bash
    }
}

/// The blocks of code of a page, as what a reader does with them.
fn steps(page: &str) -> Result<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').ok_or("a block that never begins")?;
        let (block, after) = after.split_once("```").ok_or("a block that never ends")?;
        rest = after;
        let first = block.lines().next().unwrap_or_default();
        steps.push(match language {
            "rust" | "toml" => {
                let path = first.strip_prefix("// ").or_else(|| first.strip_prefix("# "));
                let path = path.filter(|path| Path::new(path).extension().is_some());
                let path = path.ok_or_else(|| format!("a block without its file: {first}"))?;
                Step::Write { path, content: block }
            }
            "sh" => match first.strip_prefix("# terminal ") {
                None => Step::Shell(block),
                Some(place) => {
                    let (_, folder) =
                        place.split_once("in the folder ").ok_or("in which folder?")?;
                    let command = block.lines().nth(1).ok_or("a terminal without a command")?;
                    Step::Server { folder, command }
                }
            },
            "text" => Step::Expect(block.lines().collect()),
            other => {
                return Err(format!("what is a reader to do with a block of `{other}`?").into());
            }
        });
    }
    Ok(steps)
}

/// Whether a line is as promised; `..` stands for anything.
fn fits(promised: &str, is: &str) -> bool {
    let mut parts = promised.split("..");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = is.strip_prefix(first) else { return false };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    open || rest.is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_a_reader_does() {
        let page = "a\n```sh\ncd x\n```\nb\n```rust\n// x/src/lib.rs\nfn f() {}\n```\n\
                    ```sh\n# terminal 2, in the folder x\nserve\n```\n```text\nok ..\n```\n";
        let expected = [
            Step::Shell("cd x\n"),
            Step::Write { path: "x/src/lib.rs", content: "// x/src/lib.rs\nfn f() {}\n" },
            Step::Server { folder: "x", command: "serve" },
            Step::Expect(vec!["ok .."]),
        ];
        assert_eq!(steps(page).unwrap(), expected);
        assert!(steps("```rust\nfn f() {}\n```\n").is_err(), "whose file is it?");
        assert!(steps("```python\n```\n").is_err());
    }

    #[test]
    fn promises_have_gaps() {
        assert!(fits("SIM.. up for .. ms", "SIM01 up for 12 ms"));
        assert!(fits("all", "all") && fits("a..", "abc") && fits("..", ""));
        assert!(!fits("all", "all of it") && !fits("SIM.. ms", "SIM01 s") && !fits("a", "ba"));
    }

    #[test]
    fn the_page_is_one_that_can_be_followed() {
        let page = fs::read_to_string(repository().join(PAGE)).unwrap();
        assert!(steps(&page).unwrap().len() > 10);
    }
}
