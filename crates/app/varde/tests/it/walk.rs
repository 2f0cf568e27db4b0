//! Every route of the running server, as its own description lists them, with every credential that must not open it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::stack::Stack;

/// What a viewer and an operator of one camera get from each route when they name another camera, and another
/// user's things. `-`: open to anybody. A new route stands here before it ships, and each line is meant.
const MATRIX: &[(&str, &str, &str)] = &[
    ("DELETE /api/v1/cameras/{id}", "403", "403"),
    ("DELETE /api/v1/exports/{export}", "403", "404"),
    ("DELETE /api/v1/previews/{id}", "403", "403"),
    ("DELETE /api/v1/sessions/current", "204", "204"),
    ("DELETE /api/v1/tokens/{id}", "404", "404"),
    ("DELETE /api/v1/users/{id}", "403", "403"),
    ("DELETE /api/v1/whep/{session}", "404", "404"),
    ("GET /api/openapi.json", "-", "-"),
    ("GET /api/v1/cameras", "200", "200"),
    ("GET /api/v1/cameras/{id}", "404", "404"),
    ("GET /api/v1/cameras/{id}/entry-points.mp4", "404", "404"),
    ("GET /api/v1/cameras/{id}/files/{storage}/{file}", "404", "404"),
    ("GET /api/v1/cameras/{id}/frame.jpg", "404", "404"),
    ("GET /api/v1/cameras/{id}/live/ws", "404", "404"),
    ("GET /api/v1/cameras/{id}/playback", "404", "404"),
    ("GET /api/v1/cameras/{id}/playback.m3u8", "404", "404"),
    ("GET /api/v1/cameras/{id}/recording.mp4", "403", "404"),
    ("GET /api/v1/cameras/{id}/timeline", "404", "404"),
    ("GET /api/v1/events", "200", "200"),
    ("GET /api/v1/events/ws", "101", "101"),
    ("GET /api/v1/exports", "403", "200"),
    ("GET /api/v1/exports/{export}", "403", "404"),
    ("GET /api/v1/exports/{export}/file", "403", "404"),
    ("GET /api/v1/health", "-", "-"),
    ("GET /api/v1/previews/{id}", "403", "403"),
    ("GET /api/v1/sessions/current", "200", "200"),
    ("GET /api/v1/setup", "-", "-"),
    ("GET /api/v1/storages", "403", "403"),
    ("GET /api/v1/storages/{id}", "403", "403"),
    ("GET /api/v1/system", "200", "200"),
    ("GET /api/v1/tokens", "200", "200"),
    ("GET /api/v1/users", "403", "403"),
    ("GET /api/v1/users/{id}", "403", "403"),
    ("GET /metrics", "403", "403"),
    ("PATCH /api/v1/cameras/{id}", "403", "403"),
    ("PATCH /api/v1/storages/{id}", "403", "403"),
    ("PATCH /api/v1/users/{id}", "403", "403"),
    ("PATCH /api/v1/whep/{session}", "404", "404"),
    ("POST /api/v1/cameras", "403", "403"),
    ("POST /api/v1/cameras/{id}/live/whep", "404", "404"),
    ("POST /api/v1/exports", "403", "404"),
    ("POST /api/v1/previews", "403", "403"),
    ("POST /api/v1/sessions", "-", "-"),
    ("POST /api/v1/setup", "-", "-"),
    ("POST /api/v1/storages", "403", "403"),
    ("POST /api/v1/tickets", "404", "404"),
    // With user and password it is open to anybody.
    ("POST /api/v1/tokens", "201", "201"),
    ("POST /api/v1/users", "403", "403"),
];

/// Routes that answer without a credential; a longer list needs a better reason than this one.
const PUBLIC_MAX: usize = 8;
const UNKNOWN: &str = "01980f1e-7c3a-7cc1-a9ab-0123456789ab";
const PASSWORD: &str = "a heron over the weir";

/// What a request shows of itself.
#[derive(Clone, Debug, Default)]
struct Who {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    ticket: Option<String>,
}

impl Who {
    fn with(name: &'static str, header: &'static str, value: impl Into<String>) -> Self {
        Self { name, headers: vec![(header, value.into())], ticket: None }
    }

    fn by_ticket(name: &'static str, ticket: impl Into<String>) -> Self {
        Self { name, headers: vec![], ticket: Some(ticket.into()) }
    }
}

/// The server with two cameras, of which everything named here belongs to the second and to the administrator.
struct Walk {
    stack: Stack,
    own: String,
    other: String,
    /// What stands for each parameter of a path, by what stands before it.
    ids: BTreeMap<&'static str, String>,
    range: String,
    operations: Vec<(Method, String)>,
    public: Vec<String>,
}

impl Walk {
    async fn start() -> Self {
        let stack = Stack::start(2).await;
        let (own, other) = (stack.add_camera(0).await, stack.add_camera(1).await);
        stack.records(&own).await;
        stack.records(&other).await;
        let timeline = stack.api.timeline(&other).await;
        let start = timeline["recordings"][0]["start"].as_str().unwrap().to_owned();
        let end = timeline["recordings"][0]["end"].as_str().unwrap().to_owned();
        let range = format!("start={start}&end={end}");
        let api = &stack.api;
        let post = async |path: &str, body: Value| api.call(Method::POST, path, Some(body)).await.unwrap();
        let plan = api.get(&format!("/cameras/{other}/playback?{range}")).await;
        let url = plan["tracks"][0]["files"][0]["url"].as_str().unwrap();
        let (storage, file) = url.split_once("/files/").unwrap().1.split_once('/').unwrap();
        let export = post("/exports", json!({ "camera": other, "start": start, "end": end })).await;
        let preview = post("/previews", json!({ "url": stack.cameras.says["cameras"][1]["main"] })).await;
        let tokens = api.get("/tokens").await;
        let users = api.get("/users").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids = BTreeMap::from([
            ("cameras", other.clone()),
            ("files", storage.to_owned()),
            ("{storage}", file.to_owned()),
            ("storages", storage.to_owned()),
            ("exports", text(&export["id"])),
            ("previews", text(&preview["id"])),
            ("tokens", text(&tokens["items"][0]["id"])),
            ("users", text(&users["items"][0]["id"])),
            ("whep", "another".to_owned()),
        ]);
        let (operations, public) = described(&stack).await;
        Self { own, other, ids, range, operations, public, stack }
    }

    /// The path with real parameters, and the range that most media routes want.
    fn path(&self, template: &str) -> String {
        let mut before = "";
        let parts: Vec<&str> = template
            .split('/')
            .map(|part| {
                let filled = if part.starts_with('{') { self.ids[before].as_str() } else { part };
                before = part;
                filled
            })
            .collect();
        let wants_range =
            ["playback", "playback.m3u8", "timeline", "entry-points.mp4", "recording.mp4"].contains(&before);
        if wants_range { format!("{}?{}", parts.join("/"), self.range) } else { parts.join("/") }
    }

    fn body(&self, template: &str) -> Value {
        match template {
            "/api/v1/tickets" => json!({ "cameras": [self.other], "purpose": "live" }),
            "/api/v1/tokens" => json!({ "name": "walk" }),
            "/api/v1/exports" => {
                let now = varde_ambient::utc_now();
                json!({ "camera": self.other, "start": now.minus(Duration::from_secs(9)), "end": now })
            }
            _ => json!({}),
        }
    }

    async fn call(&self, method: &Method, path: &str, template: &str, who: &Who) -> Response {
        let mut url = format!("{}{path}", self.stack.api.url);
        if let Some(ticket) = &who.ticket {
            let sign = if path.contains('?') { '&' } else { '?' };
            url = format!("{url}{sign}ticket={ticket}");
        }
        let mut request: RequestBuilder = self.stack.api.client.request(method.clone(), url);
        if template.ends_with("/ws") {
            request = request
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("origin", self.stack.api.url.clone());
        }
        for (name, value) in &who.headers {
            request = request.header(*name, value);
        }
        if method != Method::GET {
            request = request.json(&self.body(template));
        }
        request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn guarded(&self) -> impl Iterator<Item = &(Method, String)> {
        self.operations.iter().filter(|(method, path)| !self.public.contains(&format!("{method} {path}")))
    }

    /// Signs somebody in as a browser does.
    async fn sign_in(&self, name: &'static str) -> Who {
        let url = format!("{}/api/v1/sessions", self.stack.api.url);
        let body = json!({ "user": name, "password": PASSWORD });
        let answer = self.stack.api.client.post(url).json(&body).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let session: Value = answer.json().await.unwrap();
        let csrf = session["csrf"].as_str().unwrap().to_owned();
        Who { name, headers: vec![("cookie", cookie), ("x-varde-csrf", csrf)], ticket: None }
    }

    async fn user(&self, name: &'static str, role: &str, cameras: Value) -> (String, Who) {
        let body = json!({ "name": name, "password": PASSWORD, "role": role, "cameras": cameras });
        let made = self.stack.api.call(Method::POST, "/users", Some(body)).await.unwrap();
        (made["id"].as_str().unwrap().to_owned(), self.sign_in(name).await)
    }
}

/// Every operation of the served description, with the two routes beside it; and those that are public.
async fn described(stack: &Stack) -> (Vec<(Method, String)>, Vec<String>) {
    let url = format!("{}/api/openapi.json", stack.api.url);
    let document: Value = stack.api.client.get(url).send().await.unwrap().json().await.unwrap();
    // The server does not start where a route is missing here.
    let mut operations =
        vec![(Method::GET, "/api/openapi.json".to_owned()), (Method::GET, "/metrics".to_owned())];
    let mut public = vec!["GET /api/openapi.json".to_owned()];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let security = operation["security"].as_array().expect("each operation says who may call it");
            if security.is_empty() || security.contains(&json!({})) {
                public.push(format!("{method} {path}"));
            }
            operations.push((method, path.clone()));
        }
    }
    (operations, public)
}

async fn problem(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let mut body: Value = answer.json().await.unwrap_or_default();
    body["request_id"] = Value::Null;
    (status, body)
}

#[tokio::test]
async fn every_route_refuses_whoever_it_is_not_for() {
    let walk = Walk::start().await;
    let listed: Vec<String> =
        walk.operations.iter().map(|(method, path)| format!("{method} {path}")).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, MATRIX.iter().map(|row| row.0).collect::<Vec<_>>(), "each route has its row");
    assert!(walk.public.len() <= PUBLIC_MAX, "{:?}", walk.public);

    nobody(&walk).await;
    for (column, name, role) in [(1, "anna", "viewer"), (2, "otto", "operator")] {
        let (_, who) = walk.user(name, role, json!([walk.own])).await;
        another(&walk, &who, column).await;
    }
    tickets(&walk).await;
    foreign_pages(&walk).await;
    walk.stack.server.stop();
}

/// No credential, garbage, what has ended, and what is for something else. (What expires by the clock is walked in the
/// management role's own tests, which set it.)
async fn nobody(walk: &Walk) {
    let (id, ended) = walk.user("ended", "administrator", json!("all")).await;
    let ticket_url = format!("{}/api/v1/tickets", walk.stack.api.url);
    let mut request = walk.stack.api.client.post(ticket_url);
    for (name, value) in &ended.headers {
        request = request.header(*name, value);
    }
    let body = json!({ "cameras": [walk.other], "purpose": "playback" });
    let ticket: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let ticket = ticket["ticket"].as_str().unwrap().to_owned();
    let path = format!("/users/{id}");
    walk.stack.api.call(Method::DELETE, &path, None).await.unwrap_or_default();
    let garbage = "A".repeat(43);
    let everybody = [
        Who { name: "nobody", ..Who::default() },
        Who::with("garbage token", "authorization", format!("Bearer varde_{garbage}")),
        Who::with("no token", "authorization", "Bearer constructor"),
        Who::with("basic", "authorization", "Basic YWRtaW46YWRtaW4="),
        Who::with("garbage session", "cookie", format!("varde={garbage}")),
        Who::with("the other cookie", "cookie", format!("__Host-varde={garbage}")),
        Who::by_ticket("garbage ticket", garbage),
        Who { name: "an ended session", ..ended },
        Who::by_ticket("a ticket of an ended session", ticket),
    ];
    for (method, template) in walk.guarded() {
        for who in &everybody {
            let path = walk.path(template);
            let (status, body) = problem(walk.call(method, &path, template, who).await).await;
            assert_eq!(
                (status, &body["code"]),
                (401, &json!("not_signed_in")),
                "{}: {method} {path}",
                who.name
            );
        }
    }
}

/// Somebody of one camera asks for everything of the other, and of the administrator.
async fn another(walk: &Walk, who: &Who, column: usize) {
    let own_token = (Method::POST, "/api/v1/tokens".to_owned());
    // Signing out ends the walk.
    let is_end =
        |(method, path): &&(Method, String)| *method == Method::DELETE && path == "/api/v1/sessions/current";
    let (ends, others): (Vec<_>, Vec<_>) = walk.guarded().chain([&own_token]).partition(is_end);
    for (method, template) in others.into_iter().chain(ends) {
        let row = MATRIX.iter().find(|row| row.0 == format!("{method} {template}")).unwrap();
        let wanted = if column == 1 { row.1 } else { row.2 };
        let path = walk.path(template);
        let answer = walk.call(method, &path, template, who).await;
        let status = answer.status().as_u16();
        assert_eq!(status.to_string(), wanted, "{}: {method} {path}", who.name);
        if status == 200 {
            let text = answer.text().await.unwrap();
            assert!(!text.contains(&walk.other), "{}: {method} {path}: {text}", who.name);
        } else if status == 404 {
            // What is there and what is not look alike.
            let unknown = path.replace(&walk.other, UNKNOWN);
            let strange = walk.call(method, &unknown, template, who).await;
            assert_eq!(problem(answer).await, problem(strange).await, "{}: {method} {path}", who.name);
        }
    }
}

/// A ticket opens its camera, purpose and range, in a player that knows nothing of us; and nothing else.
async fn tickets(walk: &Walk) {
    let (own, other) = (&walk.own, &walk.other);
    let timeline = walk.stack.api.timeline(own).await;
    let instant = |value: &Value| value.as_str().unwrap().parse::<varde_units::Utc>().unwrap();
    let start = instant(&timeline["recordings"][0]["start"]);
    let end = instant(&timeline["recordings"][0]["end"]).min(start.plus(Duration::from_secs(20)));
    let body = json!({ "cameras": [own], "purpose": "playback", "start": start, "end": end });
    let made = walk.stack.api.call(Method::POST, "/tickets", Some(body)).await.unwrap();
    let who = Who::by_ticket("a ticket", made["ticket"].as_str().unwrap());
    let ticket = who.ticket.clone().unwrap();
    let url = format!(
        "{}/api/v1/cameras/{own}/playback.m3u8?start={start}&end={end}&ticket={ticket}",
        walk.stack.api.url
    );
    let probe = tokio::task::spawn_blocking(move || crate::stack::probe(std::path::Path::new(&url)));
    let played = probe.await.unwrap();
    let video = played["streams"].as_array().unwrap().iter().find(|it| it["codec_type"] == "video").unwrap();
    let frames: u64 = video["nb_read_frames"].as_str().unwrap().parse().unwrap();
    assert!(frames > 0, "{played}");
    for (method, template) in walk.guarded() {
        let path = walk.path(template);
        let status = walk.call(method, &path, template, &who).await.status().as_u16();
        assert!(matches!(status, 401 | 403 | 404), "{}: {method} {path}: {status}", who.name);
        let inside = path.replace(other, own).replace(&walk.range, &format!("start={start}&end={end}"));
        let longer = inside.replace(&end.to_string(), &end.plus(Duration::from_secs(1)).to_string());
        if longer != inside && *method == Method::GET {
            let status = walk.call(method, &longer, template, &who).await.status().as_u16();
            assert_eq!(status, 403, "{method} {longer}");
        }
    }
}

/// Another site's page, a name that is not ours, and a request without the session's own value change nothing.
async fn foreign_pages(walk: &Walk) {
    let (_, session) = walk.user("mona", "administrator", json!("all")).await;
    let more = |name: &'static str, header: &'static str, value: &str| {
        let mut who = Who { name, ..session.clone() };
        who.headers.push((header, value.to_owned()));
        who
    };
    let without = Who { name: "without CSRF", headers: session.headers[..1].to_vec(), ticket: None };
    for (method, template) in walk.operations.iter() {
        let path = walk.path(template);
        let refused = async |who: &Who, wanted: (u16, &str)| {
            let (status, body) = problem(walk.call(method, &path, template, who).await).await;
            let code = body["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((status, code.as_str()), wanted, "{}: {method} {path}", who.name);
        };
        let host = more("a foreign name", "host", "evil.example");
        refused(&host, (421, "unknown_host")).await;
        refused(&more("a foreign page", "sec-fetch-site", "cross-site"), (403, "foreign_origin")).await;
        if !template.ends_with("/ws") {
            refused(&more("a foreign origin", "origin", "https://evil.example"), (403, "foreign_origin"))
                .await;
        }
        let is_public = walk.public.contains(&format!("{method} {template}"));
        if *method != Method::GET && !is_public {
            refused(&without, (403, "foreign_origin")).await;
        }
    }
    let token = walk.stack.api.call(Method::POST, "/tokens", Some(json!({}))).await;
    assert_eq!(token.unwrap_err().0, 403, "a token makes no token");
}
