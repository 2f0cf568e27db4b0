//! Sockets: listeners with TLS or without, limits per connection, and an orderly end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::stall::StallGuard;
use crate::tls::{Source, Tls};
use crate::{ConnectionInfo, HostNames, address_network};

/// Connections at once, from everybody; further ones are closed at once.
const CONNECTIONS_MAX: usize = 2048;
/// Connections at once from one address ([`address_network`]), so that one client can't keep the rest out.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;
/// How long a request's head may take; also how long a kept connection may rest.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long requests under way may go on once the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain HTTP on a loopback address, a generated certificate on any other.
    #[default]
    Automatic,
    /// Plain HTTP, for a reverse proxy in front.
    Off,
    Generated,
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

#[derive(Clone, Debug)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: TlsMode,
}

#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub listeners: Vec<Listener>,
    /// Where a generated certificate lives.
    pub tls_folder: PathBuf,
    /// Goes into a generated certificate.
    pub host_names: HostNames,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{address} can't be listened on: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the certificate or key {path} is not usable: {reason}")]
    Certificate { path: PathBuf, reason: String },
    #[error("{0}: {1}")]
    Folder(PathBuf, #[source] io::Error),
}

/// Bound sockets, ready to serve.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Bound>,
}

#[derive(Debug)]
struct Bound {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Server {
    pub async fn bind(options: &ServerOptions) -> Result<Self, ServerError> {
        let mut listeners = Vec::new();
        for listener in &options.listeners {
            let source = match &listener.tls {
                TlsMode::Automatic if listener.address.ip().to_canonical().is_loopback() => None,
                TlsMode::Off => None,
                TlsMode::Automatic | TlsMode::Generated => {
                    Some(Source::Generated(options.tls_folder.clone()))
                }
                TlsMode::Files { certificate, key } => {
                    Some(Source::Files { certificate: certificate.clone(), key: key.clone() })
                }
            };
            let tls = source.map(|source| Tls::open(&source, &options.host_names)).transpose()?;
            let bind_error = |source| ServerError::Bind { address: listener.address, source };
            let socket = TcpListener::bind(listener.address).await.map_err(bind_error)?;
            let address = socket.local_addr().map_err(bind_error)?;
            listeners.push(Bound { socket, address, tls });
        }
        Ok(Self { listeners })
    }

    /// `http://127.0.0.1:8080` and the like, with the ports that were given where port 0 was asked for.
    pub fn urls(&self) -> Vec<String> {
        let url = |bound: &Bound| {
            let scheme = if bound.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", bound.address)
        };
        self.listeners.iter().map(url).collect()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|bound| bound.address).collect()
    }

    /// Serves until `stop` becomes true or its sender goes, then lets requests under way end for a moment.
    pub async fn serve(self, router: Router, stop: watch::Receiver<bool>) {
        let census = Arc::new(Census::default());
        let mut accepting = JoinSet::new();
        for bound in self.listeners {
            accepting.spawn(accept(bound, router.clone(), census.clone(), stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }
}

async fn accept(bound: Bound, router: Router, census: Arc<Census>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = bound.socket.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: a short rest lets connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(seat) = Census::enter(&census, address_network(peer.ip())) else {
            tracing::debug!(peer = %peer.ip(), "a connection over the limit was closed");
            continue;
        };
        let (tls, router, stop) = (bound.tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            let _seat = seat;
            connection(socket, peer, tls, router, stop).await;
        });
    }
    drop(bound.socket);
    let drain = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is dropped with the set.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that went away means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<Tls>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let Ok(local) = socket.local_addr() else { return };
    let _ = socket.set_nodelay(true);
    let info = ConnectionInfo { peer, local, tls: tls.is_some() };
    match tls {
        None => serve_http(StallGuard::new(socket), info, router, stop).await,
        Some(tls) => {
            let config = tls.config(local.ip());
            let handshake = TlsAcceptor::from(config).accept(StallGuard::new(socket));
            match tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await {
                Ok(Ok(stream)) => serve_http(stream, info, router, stop).await,
                Ok(Err(error)) => tracing::debug!(peer = %peer.ip(), %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(peer = %peer.ip(), "a TLS handshake took too long"),
            }
        }
    }
}

async fn serve_http<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    info: ConnectionInfo,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(info);
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %info.peer.ip(), %error, "a connection ended early");
    }
}

/// Counts connections by address.
#[derive(Debug, Default)]
struct Census(Mutex<(usize, HashMap<IpAddr, usize>)>);

impl Census {
    /// `None` at the limit. The seat is free again when it drops.
    fn enter(census: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut guard = census.0.lock();
        let (total, by_address) = &mut *guard;
        let own = by_address.get(&address).copied().unwrap_or(0);
        if *total >= CONNECTIONS_MAX || own >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        *total += 1;
        by_address.insert(address, own + 1);
        Some(Seat { census: census.clone(), address })
    }
}

struct Seat {
    census: Arc<Census>,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guard = self.census.0.lock();
        let (total, by_address) = &mut *guard;
        *total -= 1;
        if let Some(own) = by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn one_address_cannot_take_every_seat() {
        let census = Arc::new(Census::default());
        let one: IpAddr = [10, 0, 0, 1].into();
        let seats: Vec<_> =
            (0..CONNECTIONS_PER_ADDRESS_MAX).map(|_| Census::enter(&census, one).unwrap()).collect();
        assert!(Census::enter(&census, one).is_none());
        assert!(Census::enter(&census, [10, 0, 0, 2].into()).is_some());
        drop(seats);
        assert!(Census::enter(&census, one).is_some());
        assert_eq!(census.0.lock().0, 0);
    }

    async fn start(
        mode: TlsMode,
        folder: PathBuf,
    ) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let listener = Listener { address: ([127, 0, 0, 1], 0).into(), tls: mode };
        let options =
            ServerOptions { listeners: vec![listener], tls_folder: folder, host_names: HostNames::default() };
        let server = Server::bind(&options).await.unwrap();
        let address = server.addresses()[0];
        let (stop, stopped) = watch::channel(false);
        (address, stop, tokio::spawn(server.serve(router, stopped)))
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[tokio::test]
    async fn plain_on_loopback_and_an_end_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (address, stop, serving) = start(TlsMode::Automatic, folder.path().into()).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(REQUEST).await.unwrap();
        let mut answer = vec![0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        stop.send(true).unwrap();
        serving.await.unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"hello"));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn plain_http_on_a_tls_socket_gets_no_answer_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let (address, _stop, _serving) = start(TlsMode::Generated, folder.path().into()).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"));
    }

    #[tokio::test]
    async fn a_head_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (address, _stop, _serving) = start(TlsMode::Off, folder.path().into()).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let long =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        let _ = socket.write_all(long.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    }
}
