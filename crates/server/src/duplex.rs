//! A way to a client and back, encrypted or not.

use crate::limits;
use eddyline_tls::ServerStream;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;

/// See the module's page.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Has the client closed its end? Known also while what it has sent waits to be read.
    fn has_hung_up(&self) -> bool;
}

impl Duplex for TcpStream {
    fn has_hung_up(&self) -> bool {
        let ready = pin!(self.ready(Interest::READABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}

impl Duplex for Box<dyn Duplex> {
    fn has_hung_up(&self) -> bool {
        self.as_ref().has_hung_up()
    }
}

impl Duplex for ServerStream {
    fn has_hung_up(&self) -> bool {
        self.get_ref().0.has_hung_up()
    }
}

/// Answers are sent at once, as they are small and waited for; a client whose machine is gone without a word is noticed after
/// some minutes.
///
/// # Errors
/// The socket is none any more.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(limits::SILENCE).with_interval(limits::SILENCE_PAUSE);
    SockRef::from(socket).set_tcp_keepalive(&keepalive.with_retries(limits::SILENCE_QUESTIONS))
}
