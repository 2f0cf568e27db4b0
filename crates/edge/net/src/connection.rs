//! One connection to a camera, plain or TLS, read at common ticks and written at once.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpSocket;

use crate::tick::{ReadTicker, Registration};
use crate::tls::{Fingerprint, TlsClient};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Unsent bytes beyond which a peer that does not read is given up.
const UNSENT_BYTES_MAX: usize = 64 << 10;
/// A silent peer is found out after about this long, also where nothing is sent.
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// Ciphertext read at once.
const TLS_READ_BYTES: usize = 64 << 10;
/// More than any TLS record with its header and tag (RFC 8446 §5.2).
const TLS_RECORD_BYTES_MAX: usize = 17 << 10;

/// Read at once while hands are shaken: no plaintext is expected, and little of it is held.
const TLS_HANDSHAKE_READ_BYTES: usize = 4 << 10;

thread_local! {
    /// Ciphertext on its way from a socket into the TLS state; shared by all connections of the thread.
    static CIPHERTEXT: RefCell<Box<[u8]>> = RefCell::new(vec![0; TLS_READ_BYTES].into_boxed_slice());
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("no connection to {address}")]
    Unreachable {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Somebody answers, but TLS came to nothing.
    #[error("no TLS with {address}")]
    Tls {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// See the module.
#[derive(Debug)]
pub struct CameraConnection {
    registration: Registration,
    tls: Option<Box<ClientConnection>>,
    unsent: Vec<u8>,
    peer: SocketAddr,
    local: SocketAddr,
}

impl CameraConnection {
    /// Connects to an address that [`crate::resolve`] gave; `tls` with the name to ask for.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(
        ticker: &ReadTicker,
        address: SocketAddr,
        tls: Option<(&TlsClient, &str)>,
    ) -> Result<Self, ConnectError> {
        let unreachable = |source| ConnectError::Unreachable { address, source };
        let socket = tokio::time::timeout(CONNECT_TIMEOUT, connect(address))
            .await
            .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        let local = socket.local_addr().map_err(unreachable)?;
        let registration = ticker.register(Arc::new(socket)).map_err(unreachable)?;
        let mut connection = Self { registration, tls: None, unsent: Vec::new(), peer: address, local };
        if let Some((client, name)) = tls {
            let failed = |source| ConnectError::Tls { address, source };
            tokio::time::timeout(HANDSHAKE_TIMEOUT, connection.shake_hands(client, name))
                .await
                .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
                .map_err(failed)?;
        }
        Ok(connection)
    }

    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Of the certificate that the camera showed; `None` without TLS.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.tls.as_ref()?.peer_certificates()?.first().map(Fingerprint::of)
    }

    /// Comes back at a tick at which there was something to read. May come back for nothing.
    pub async fn readable(&self) {
        self.registration.readable().await;
    }

    /// Reads what is there; 0 is the end of the connection.
    ///
    /// When it returns as much as `buffer` holds, more may be there. `buffer` holds 64 KiB or more.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there; everything else ends the connection.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => retry(|| self.registration.socket().read(buffer)),
            Some(tls) => {
                let count = read_tls(tls, self.registration.socket(), buffer);
                // Answers of TLS itself: key updates, alerts.
                self.flush()?;
                count
            }
        }
    }

    /// Sends, now as far as the peer takes it; the rest with the next call of this or of [`Self::flush`].
    ///
    /// # Errors
    /// The connection ended, or the peer has not read for long.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.unsent.extend_from_slice(bytes),
            Some(tls) => tls.writer().write_all(bytes)?,
        }
        self.flush()
    }

    /// Sends what is left of earlier calls of [`Self::write`].
    ///
    /// # Errors
    /// The connection ended, or the peer has not read for long.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.unsent)?;
            }
        }
        while !self.unsent.is_empty() {
            match retry(|| self.registration.socket().write(&self.unsent)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.unsent.len() > UNSENT_BYTES_MAX { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    async fn shake_hands(&mut self, client: &TlsClient, name: &str) -> io::Result<()> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(&client.config), name).map_err(io::Error::other)?;
        // Bounded by rustls; a request is far smaller.
        tls.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        self.tls = Some(Box::new(tls));
        loop {
            self.flush()?;
            let tls = self.tls.as_mut().expect("set above");
            if !tls.is_handshaking() {
                return Ok(());
            }
            match receive_tls(tls, self.registration.socket(), TLS_HANDSHAKE_READ_BYTES, |_| Ok(())) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await,
                Err(error) => {
                    // The alert tells the camera's log why.
                    let _ = self.flush();
                    return Err(error);
                }
            }
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let stream = socket.connect(address).await?.into_std()?;
    stream.set_nodelay(true)?;
    let options = SockRef::from(&stream);
    let probe = DEAD_AFTER / 4;
    let keep_alive = TcpKeepalive::new().with_time(probe * 2).with_interval(probe).with_retries(2);
    options.set_tcp_keepalive(&keep_alive)?;
    options.set_tcp_user_timeout(Some(DEAD_AFTER))?;
    Ok(stream)
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Takes ciphertext off the socket with one read, and the plaintext out of it.
fn read_tls(tls: &mut ClientConnection, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    // An unfinished record from before comes on top; what does not fit into `buffer` would be stuck.
    let room = buffer.len().saturating_sub(TLS_RECORD_BYTES_MAX);
    let mut filled = 0;
    let received = receive_tls(tls, socket, room, |tls| {
        loop {
            match tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    })?;
    // Half a record, or a message of TLS itself.
    if filled == 0 && received > 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(filled) }
}

/// Moves ciphertext from the socket into the TLS state; 0 is the end of the connection. `drain` empties the state of
/// plaintext, of which it holds little.
fn receive_tls(
    tls: &mut ClientConnection,
    mut socket: &TcpStream,
    bytes_max: usize,
    mut drain: impl FnMut(&mut ClientConnection) -> io::Result<()>,
) -> io::Result<usize> {
    CIPHERTEXT.with_borrow_mut(|scratch| {
        let limit = scratch.len().min(bytes_max);
        let count = retry(|| socket.read(&mut scratch[..limit]))?;
        let mut rest = &scratch[..count];
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            drain(tls)?;
        }
        Ok(count)
    })
}
