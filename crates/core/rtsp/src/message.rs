//! RTSP 1.0 messages on the wire: requests, responses and interleaved frames (RFC 2326 §4–§7, §10.12).
//!
//! Reads in place out of the caller's buffer and copies nothing. Decides where a message ends and what is too much;
//! refuses to know what a method means. Lenient where cameras are: bare LF, blank lines between messages, spaces
//! around values, folded lines (skipped), bytes that are not UTF-8 in headers nobody asks for.

use std::fmt;

/// How much one message may take. Beyond it the connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Start line and headers together.
    pub header_bytes: usize,
    pub body_bytes: usize,
    pub headers: usize,
}

impl Limits {
    /// A buffer of this size holds any message within these limits.
    pub const fn message_bytes(&self) -> usize {
        // An interleaved frame is four bytes and at most 65,535 more.
        let text = self.header_bytes + self.body_bytes;
        if text > 65_539 { text } else { 65_539 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 16 << 10, body_bytes: 128 << 10, headers: 64 }
    }
}

/// Bytes that can't be RTSP, or too many of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at byte {offset})")]
pub struct ParseError {
    /// From the start of the input that was handed in.
    pub offset: usize,
    pub problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("neither a message nor an interleaved frame begins here")]
    Unframed,
    #[error("the start line is malformed")]
    StartLine,
    #[error("a header line has no colon")]
    Header,
    #[error("start line and headers are too long")]
    HeaderTooLong,
    #[error("there are too many headers")]
    TooManyHeaders,
    #[error("Content-Length is no number")]
    ContentLength,
    #[error("the body is too long")]
    BodyTooLong,
}

/// The result of looking at a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A message needs more bytes: at least `total` from the start of the input.
    Incomplete { total: usize },
    /// The first `length` bytes are used up.
    Complete { message: Message<'a>, length: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Request(Request<'a>),
    Response(Response<'a>),
    Data(Data<'a>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    pub headers: Headers<'a>,
    pub body: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    pub status: u16,
    pub reason: &'a str,
    pub headers: Headers<'a>,
    pub body: &'a [u8],
}

/// An interleaved frame: one RTP or RTCP packet within the RTSP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    pub channel: u8,
    pub payload: &'a [u8],
}

/// The header lines of one message, looked up where they lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The first value of `name`, trimmed; `None` also where it isn't UTF-8.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers whose name and value are UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        Lines { rest: self.lines }.filter_map(|line| {
            if line.first().is_none_or(|&first| first == b' ' || first == b'\t') {
                return None;
            }
            let colon = memchr::memchr(b':', line)?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            let value = std::str::from_utf8(&line[colon + 1..]).ok()?;
            Some((name.trim(), value.trim()))
        })
    }

    pub fn cseq(&self) -> Option<u32> {
        self.get("CSeq")?.parse().ok()
    }
}

impl fmt::Debug for Headers<'_> {
    /// Leaves out what authenticates.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |name: &str| name.eq_ignore_ascii_case("authorization");
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, if secret(name) { "…" } else { value })))
            .finish()
    }
}

/// Looks for one message at the start of `input`.
///
/// # Errors
/// The bytes can't become a message, whatever follows; the connection has no way back.
pub fn parse<'a>(input: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    // Some cameras end a body with a blank line that Content-Length does not count.
    let start = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(input.len());
    if start > limits.header_bytes {
        return Err(ParseError { offset: start, problem: Problem::HeaderTooLong });
    }
    let rest = &input[start..];
    match rest.first() {
        None => Ok(Parsed::Incomplete { total: start + 1 }),
        Some(b'$') => Ok(parse_data(rest, start)),
        Some(first) if first.is_ascii_alphabetic() => parse_text(rest, start, limits),
        Some(_) => Err(ParseError { offset: start, problem: Problem::Unframed }),
    }
}

fn parse_data(rest: &[u8], start: usize) -> Parsed<'_> {
    let &[_, channel, high, low, ref payload @ ..] = rest else {
        return Parsed::Incomplete { total: start + 4 };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match payload.get(..length) {
        Some(payload) => {
            Parsed::Complete { message: Message::Data(Data { channel, payload }), length: start + 4 + length }
        }
        None => Parsed::Incomplete { total: start + 4 + length },
    }
}

fn parse_text<'a>(rest: &'a [u8], start: usize, limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    let fail = |offset: usize, problem| ParseError { offset: start + offset, problem };
    let window = &rest[..rest.len().min(limits.header_bytes)];
    // Binary data that happens to begin with a letter is told apart before a whole header's worth has come.
    let line_end = memchr::memchr(b'\n', window);
    if let Some(bad) = window[..line_end.unwrap_or(window.len())]
        .iter()
        .position(|&byte| byte < b' ' && byte != b'\r' && byte != b'\t')
    {
        return Err(fail(bad, Problem::Unframed));
    }
    let Some((head, body_at)) = split_head(window) else {
        if rest.len() >= limits.header_bytes {
            return Err(fail(limits.header_bytes, Problem::HeaderTooLong));
        }
        return Ok(Parsed::Incomplete { total: start + rest.len() + 1 });
    };
    let line_end = line_end.expect("a head holds at least one line end");
    let first = trim_line(&rest[..line_end]);
    let headers = Headers { lines: &head[line_end + 1..] };
    check_headers(headers.lines, limits).map_err(|(offset, problem)| fail(line_end + 1 + offset, problem))?;
    let body_length = match headers.get("Content-Length") {
        None | Some("") => 0,
        Some(text) => text.parse::<usize>().map_err(|_| fail(line_end + 1, Problem::ContentLength))?,
    };
    if body_length > limits.body_bytes {
        return Err(fail(body_at, Problem::BodyTooLong));
    }
    let start_line = StartLine::parse(first).ok_or_else(|| fail(0, Problem::StartLine))?;
    let Some(body) = rest.get(body_at..body_at + body_length) else {
        return Ok(Parsed::Incomplete { total: start + body_at + body_length });
    };
    let message = match start_line {
        StartLine::Request { method, uri } => Message::Request(Request { method, uri, headers, body }),
        StartLine::Response { status, reason } => {
            Message::Response(Response { status, reason, headers, body })
        }
    };
    Ok(Parsed::Complete { message, length: start + body_at + body_length })
}

/// Start line and headers (with their last line end), and where the body begins.
fn split_head(window: &[u8]) -> Option<(&[u8], usize)> {
    for at in memchr::memchr_iter(b'\n', window) {
        match &window[at + 1..] {
            [b'\n', ..] => return Some((&window[..=at], at + 2)),
            [b'\r', b'\n', ..] => return Some((&window[..=at], at + 3)),
            _ => {}
        }
    }
    None
}

fn check_headers(lines: &[u8], limits: &Limits) -> Result<(), (usize, Problem)> {
    let mut offset = 0;
    for (count, line) in lines.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if count >= limits.headers {
            return Err((offset, Problem::TooManyHeaders));
        }
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded && memchr::memchr(b':', line).is_none() {
            return Err((offset, Problem::Header));
        }
        offset += line.len();
    }
    Ok(())
}

enum StartLine<'a> {
    Request { method: &'a str, uri: &'a str },
    Response { status: u16, reason: &'a str },
}

impl<'a> StartLine<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        if line.starts_with(b"RTSP/") {
            // A reason phrase in a camera's own encoding is not worth the connection.
            let (line, reason_readable) = match std::str::from_utf8(line) {
                Ok(line) => (line, true),
                Err(error) => (std::str::from_utf8(&line[..error.valid_up_to()]).ok()?, false),
            };
            let mut parts = line.splitn(3, ' ');
            let _version = parts.next()?;
            let status: u16 = parts.next()?.trim().parse().ok()?;
            let reason = if reason_readable { parts.next().unwrap_or("").trim() } else { "" };
            return (100..1000).contains(&status).then_some(Self::Response { status, reason });
        }
        let mut parts = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let (method, uri, version) = (parts.next()?, parts.next()?, parts.next()?);
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !version.starts_with("RTSP/") || parts.next().is_some() || !method.bytes().all(token) {
            return None;
        }
        Some(Self::Request { method, uri })
    }
}

fn trim_line(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let line = &self.rest[..end.unwrap_or(self.rest.len())];
        self.rest = end.map_or(&[], |end| &self.rest[end + 1..]);
        Some(trim_line(line))
    }
}

/// Appends a request. Values lose their control characters, so that none can begin a header of its own.
pub fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    uri: &str,
    cseq: u32,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    push_clean(out, method);
    out.push(b' ');
    // A space would end the URI; none that we were given or made holds one, but a camera's may.
    out.extend(uri.bytes().filter(|byte| *byte > b' ' && *byte != 0x7f));
    out.extend_from_slice(b" RTSP/1.0\r\n");
    write_rest(out, Some(cseq), headers, body);
}

/// Appends a response; `cseq` is the request's, where it had one.
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    cseq: Option<u32>,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    out.extend_from_slice(format!("RTSP/1.0 {status} {}\r\n", reason(status)).as_bytes());
    write_rest(out, cseq, headers, body);
}

/// The four bytes before an interleaved packet; `None` for a packet over 65,535 bytes.
pub fn data_header(channel: u8, length: usize) -> Option<[u8; 4]> {
    let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
    Some([b'$', channel, high, low])
}

fn write_rest(out: &mut Vec<u8>, cseq: Option<u32>, headers: &[(&str, &str)], body: &[u8]) {
    if let Some(cseq) = cseq {
        out.extend_from_slice(format!("CSeq: {cseq}\r\n").as_bytes());
    }
    for (name, value) in headers {
        push_clean(out, name);
        out.extend_from_slice(b": ");
        push_clean(out, value);
        out.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

fn push_clean(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte >= b' ' && *byte != 0x7f));
}

/// The standard's words for a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        451 => "Parameter Not Understood",
        453 => "Not Enough Bandwidth",
        454 => "Session Not Found",
        455 => "Method Not Valid in This State",
        457 => "Invalid Range",
        459 => "Aggregate Operation Not Allowed",
        461 => "Unsupported Transport",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "RTSP Version Not Supported",
        551 => "Option Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { header_bytes: 256, body_bytes: 64, headers: 8 };

    fn complete(input: &[u8]) -> (Message<'_>, usize) {
        match parse(input, &LIMITS) {
            Ok(Parsed::Complete { message, length }) => (message, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_read_as_cameras_write_them() {
        let check = |text: &str, status: u16, reason: &str, body: &[u8]| {
            let (message, length) = complete(text.as_bytes());
            let Message::Response(response) = message else { panic!("{text:?}") };
            assert_eq!((response.status, response.reason, response.body), (status, reason, body), "{text:?}");
            assert_eq!(length, text.len(), "{text:?}");
        };
        check("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", 200, "OK", b"");
        check("RTSP/1.0 200 OK\nCSeq: 1\n\n", 200, "OK", b"");
        check("RTSP/1.0 200 OK\r\nCSeq: 1\n\r\n", 200, "OK", b"");
        check("\r\n\r\nRTSP/1.0 200\r\nCSeq: 1\r\n\r\n", 200, "", b"");
        check("RTSP/1.0 404 Stream Not Found\r\n\r\n", 404, "Stream Not Found", b"");
        check("RTSP/1.0 200 OK\r\ncontent-length : 3 \r\n\r\nv=0", 200, "OK", b"v=0");
        check("RTSP/1.0 200 OK\r\nPublic: OPTIONS,\r\n  DESCRIBE\r\nCSeq: 1\r\n\r\n", 200, "OK", b"");
        check("RTSP/1.0 200 OK\r\nContent-Length: \r\n\r\n", 200, "OK", b"");
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let text = b"RTSP/1.0 401 No\r\nCSEQ:7\r\nWWW-Authenticate: Digest a\r\nx: \xff\r\nwww-authenticate:Basic b\r\n\r\n";
        let (Message::Response(response), _) = complete(text) else { panic!() };
        assert_eq!(response.headers.cseq(), Some(7));
        assert_eq!(response.headers.all("WWW-Authenticate").collect::<Vec<_>>(), ["Digest a", "Basic b"]);
        assert_eq!(response.headers.get("x"), None, "not UTF-8");
        assert_eq!(response.headers.get("y"), None);
    }

    #[test]
    fn frames_lie_between_messages() {
        let (message, length) = complete(b"$\x02\x00\x03abcRTSP/1.0");
        assert_eq!(message, Message::Data(Data { channel: 2, payload: b"abc" }));
        assert_eq!(length, 7);
        let (message, length) = complete(b"\r\n$\x00\x00\x00");
        assert_eq!((message, length), (Message::Data(Data { channel: 0, payload: b"" }), 6));
    }

    #[test]
    fn what_can_never_be_a_message_is_refused_where_it_goes_wrong() {
        let check = |input: &[u8], offset: usize, problem: Problem| {
            assert_eq!(parse(input, &LIMITS), Err(ParseError { offset, problem }), "{input:?}");
        };
        check(b"\x00\x01", 0, Problem::Unframed);
        check(b"\r\n\x80\x60", 2, Problem::Unframed);
        check(b"R\x00\x00", 1, Problem::Unframed);
        check(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0, Problem::StartLine);
        check(b"RTSP/1.0 OK 200\r\n\r\n", 0, Problem::StartLine);
        check(b"RTSP/1.0 99 Low\r\n\r\n", 0, Problem::StartLine);
        check(b"PLAY rtsp://h/ a b RTSP/1.0\r\n\r\n", 0, Problem::StartLine);
        check(b"RTSP/1.0 200 OK\r\nno colon\r\n\r\n", 17, Problem::Header);
        check(b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", 17, Problem::ContentLength);
        check(b"RTSP/1.0 200 OK\r\nContent-Length: 65\r\n\r\n", 39, Problem::BodyTooLong);
        let many = format!("RTSP/1.0 200 OK\r\n{}\r\n", "a: b\r\n".repeat(9));
        check(many.as_bytes(), 17 + 8 * 6, Problem::TooManyHeaders);
        check("A".repeat(256).as_bytes(), 256, Problem::HeaderTooLong);
        check("\n".repeat(257).as_bytes(), 257, Problem::HeaderTooLong);
    }

    #[test]
    fn a_written_message_reads_as_it_was_and_can_not_be_split() {
        let mut bytes = Vec::new();
        let headers = [("Session", "1\r\nCSeq: 9\r\n\r\nPLAY"), ("User-Agent", "x")];
        write_request(&mut bytes, "SETUP", "rtsp://h/a\r\n b", 3, &headers, b"body");
        let (Message::Request(request), length) = complete(&bytes) else { panic!() };
        assert_eq!(length, bytes.len());
        assert_eq!((request.method, request.uri, request.body), ("SETUP", "rtsp://h/ab", &b"body"[..]));
        assert_eq!(request.headers.cseq(), Some(3));
        assert_eq!(request.headers.get("Session"), Some("1CSeq: 9PLAY"));
        assert_eq!(data_header(1, 70_000), None);
        assert_eq!(data_header(1, 258), Some([b'$', 1, 1, 2]));
    }

    proptest! {
        /// A message that comes in pieces is the message that comes whole, and no bytes do harm.
        #[test]
        fn pieces_lead_to_the_same_end(
            prefix in "(\r\n)?(RTSP/1.0 200 OK|PLAY rtsp://h/ RTSP/1.0|\\$\u{1}\u{0}\u{4})(\r\n[A-Za-z-]{0,8}: ?[0-9a-z]{0,4}){0,4}(\r\n\r\n)?",
            tail in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut input = prefix.into_bytes();
            input.extend(tail);
            let whole = parse(&input, &LIMITS);
            for end in 0..=input.len() {
                match parse(&input[..end], &LIMITS) {
                    Ok(Parsed::Incomplete { total }) => prop_assert!(total > end),
                    Ok(Parsed::Complete { length, message }) => {
                        prop_assert!(length <= end);
                        prop_assert_eq!(&whole, &Ok(Parsed::Complete { message, length }));
                    }
                    Err(error) => prop_assert_eq!(&whole, &Err(error)),
                }
            }
        }
    }
}
