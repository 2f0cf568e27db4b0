//! `varde setup` and `varde login`.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::api::{Api, Connection};
use super::credentials::{Credentials, Server};

#[derive(Debug, Args)]
pub struct SetUp {
    /// Address of the server
    server: String,
    /// The one-time code that the server printed at its first start
    #[arg(long)]
    code: String,
    /// Name of the administrator
    #[arg(long, default_value = "admin")]
    user: String,
    /// Read the new password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print `{"url","user","token"}` and keep nothing
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub struct Login {
    /// Address of the server
    server: String,
    #[arg(long)]
    user: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// One-time code of the second factor
    #[arg(long)]
    otp: Option<String>,
    /// Print `{"url","user","token","expires_at"}` and keep nothing
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub async fn set_up(arguments: SetUp) -> Result<(), Failure> {
    let api = Api::anonymous(&arguments.server, &arguments.connection)?;
    let password = read_password(arguments.password_stdin, "New password: ")?;
    api.post("/setup", &json!({ "code": arguments.code, "user": arguments.user, "password": password }))
        .await?;
    finish(api, &arguments.user, &password, None, arguments.json, &arguments.connection).await
}

pub async fn login(arguments: Login) -> Result<(), Failure> {
    let api = Api::anonymous(&arguments.server, &arguments.connection)?;
    let password = read_password(arguments.password_stdin, "Password: ")?;
    finish(api, &arguments.user, &password, arguments.otp, arguments.json, &arguments.connection).await
}

async fn finish(
    api: Api,
    user: &str,
    password: &str,
    otp: Option<String>,
    as_json: bool,
    connection: &Connection,
) -> Result<(), Failure> {
    let mut body = json!({ "user": user, "password": password });
    if let Some(otp) = otp {
        body["otp"] = Value::from(otp);
    }
    let answer = api.post("/tokens", &body).await?;
    let token = answer["token"]
        .as_str()
        .ok_or_else(|| Failure::Failed("the server's answer holds no token".into()))?
        .to_owned();
    if as_json {
        let expires_at = &answer["expires_at"];
        println!("{}", json!({ "url": api.base(), "user": user, "token": token, "expires_at": expires_at }));
        return Ok(());
    }
    let path = keep(api.base(), token, connection)?;
    println!("Signed in at {} as {user}. The token is kept in {}.", api.base(), path.display());
    Ok(())
}

fn keep(base: &str, token: String, connection: &Connection) -> Result<PathBuf, Failure> {
    let mut kept = Credentials::load()?;
    kept.default = Some(base.to_owned());
    let server = Server { token: token.into(), ca: connection.ca.clone(), insecure: connection.insecure };
    kept.servers.insert(base.to_owned(), server);
    kept.save()
}

/// A password from standard input: its first line, so that it never stands in a command line.
pub fn read_password(from_stdin: bool, prompt: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !from_stdin {
        if !stdin.is_terminal() {
            return Err(Failure::Failed("give the password on standard input with --password-stdin".into()));
        }
        return read_hidden(prompt);
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        return Err(Failure::Failed("standard input holds no password".into()));
    }
    Ok(password)
}

/// Asks on the terminal without showing what is typed.
fn read_hidden(prompt: &str) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let stdin = std::io::stdin();
    let mut error = std::io::stderr();
    write!(error, "{prompt}")?;
    error.flush()?;
    let before = tcgetattr(&stdin).map_err(std::io::Error::from)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(std::io::Error::from)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Now, &before).map_err(std::io::Error::from)?;
    writeln!(error)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
