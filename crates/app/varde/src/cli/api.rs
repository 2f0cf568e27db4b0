//! Calls to a server's public API, with its problem documents turned into sentences.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Failure;
use super::credentials::{Credentials, Server, Token};

/// Which server, and how to reach it.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Address of the server; without it, the one of the last `varde login`
    #[arg(long, env = "VARDE_URL", global = true)]
    pub url: Option<String>,
    /// API token; without it, the one that `varde login` kept
    #[arg(long, env = "VARDE_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<Token>,
    /// File with the certificate authority of the server
    #[arg(long, global = true)]
    pub ca: Option<PathBuf>,
    /// Do not check the server's certificate
    #[arg(long, global = true, conflicts_with = "ca")]
    pub insecure: bool,
}

/// A server that we may speak to.
#[derive(Debug)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    token: Option<Token>,
}

impl Api {
    /// A connection with the kept or given token.
    pub fn signed_in(connection: &Connection) -> Result<Self, Failure> {
        let kept = Credentials::load()?;
        let url = connection.url.clone().or(kept.default.clone()).ok_or_else(|| {
            Failure::NotPermitted("no server is named; sign in first: varde login URL --user NAME".into())
        })?;
        let base = base(&url)?;
        let server = kept.servers.get(&base).cloned().unwrap_or_default();
        let token = connection.token.clone().or(Some(server.token.clone()).filter(|token| !token.is_empty()));
        if token.is_none() {
            return Err(Failure::NotPermitted(format!(
                "not signed in at {base}; use varde login {base} --user NAME"
            )));
        }
        let ca = connection.ca.clone().or(server.ca.clone());
        // Who names an authority now wants it asked, whatever the sign-in did without.
        let insecure = connection.insecure || (server.insecure && connection.ca.is_none());
        Self::new(&Server { token: Token::default(), ca, insecure }, base, token)
    }

    /// A connection without a token yet.
    pub fn anonymous(url: &str, connection: &Connection) -> Result<Self, Failure> {
        let server =
            Server { token: Token::default(), ca: connection.ca.clone(), insecure: connection.insecure };
        Self::new(&server, base(url)?, None)
    }

    fn new(server: &Server, base: String, token: Option<Token>) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .danger_accept_invalid_certs(server.insecure);
        if let Some(path) = &server.ca {
            let pem = std::fs::read(path)
                .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
            let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| {
                Failure::Failed(format!("{} holds no certificate: {error}", path.display()))
            })?;
            builder = builder.add_root_certificate(certificate);
        }
        let client = builder.build().map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self { client, base, token })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let answer = self.send(Method::GET, path, query, None).await?;
        json(answer).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.send(Method::POST, path, &[], Some(body)).await?;
        json(answer).await
    }

    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, &[], None).await.map(|_| ())
    }

    /// All items of a list, page after page.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut query: Vec<(&str, String)> = vec![("limit", "500".into())];
        loop {
            let page = self.get(path, &query).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => query = vec![("limit", "500".into()), ("cursor", next.into())],
                None => return Ok(items),
            }
        }
    }

    /// An answer whose body is read piece by piece.
    pub async fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<reqwest::Response, Failure> {
        self.send(Method::GET, path, query, None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.base)).query(query);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refusal(answer).await)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        let hint = if inner.to_string().contains("certificate") {
            "; name its authority with --ca FILE, or use --insecure on a network that you trust"
        } else {
            ""
        };
        Failure::Failed(format!("{} does not answer: {inner}{hint}", self.base))
    }
}

/// Scheme and authority alone, without a slash at the end.
fn base(url: &str) -> Result<String, Failure> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let parsed = reqwest::Url::parse(&with_scheme)
        .map_err(|error| Failure::Failed(format!("{url:?} is not an address: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Failure::Failed(format!("{url:?} must begin with https:// or http://")));
    }
    Ok(parsed.origin().ascii_serialization())
}

async fn json(answer: reqwest::Response) -> Result<Value, Failure> {
    let url = answer.url().path().to_owned();
    answer.json().await.map_err(|error| Failure::Failed(format!("{url}: the answer is not JSON: {error}")))
}

/// The problem document of an answer, as a sentence.
async fn refusal(answer: reqwest::Response) -> Failure {
    let status = answer.status();
    let problem: Value = answer.json().await.unwrap_or_default();
    let sentence = problem["detail"].as_str().or(problem["title"].as_str()).map_or_else(
        || format!("the server answered {status}"),
        |detail| match problem["hint"].as_str() {
            Some(hint) => format!("{detail} ({hint})"),
            None => detail.to_owned(),
        },
    );
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::NotPermitted(sentence),
        _ => Failure::Failed(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let connection =
            Connection { token: Some(Token::from("canary".to_owned())), ..Connection::default() };
        assert!(!format!("{connection:?}").contains("canary"));
    }

    #[test]
    fn an_address_is_cut_to_its_origin() {
        let check = |text: &str, wanted: &str| assert_eq!(base(text).unwrap(), wanted);
        check("https://nvr.example:8443/live?x=1", "https://nvr.example:8443");
        check("nvr.example", "https://nvr.example");
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080");
        assert!(base("ftp://nvr.example").is_err());
        assert!(base("https://").is_err());
    }
}
