//! What carries the bytes of a connection.

use std::io;
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use super::outlet::Socket;

/// A stream to a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// A second handle to the socket, a descriptor of its own; none where only the stream can write to it.
    fn socket(&self) -> io::Result<Option<Socket>> {
        Ok(None)
    }
}

impl Stream for TcpStream {
    fn socket(&self) -> io::Result<Option<Socket>> {
        #[cfg(unix)]
        let own = self.as_fd();
        #[cfg(windows)]
        let own = self.as_socket();
        Ok(Some(Socket::Tcp(own.try_clone_to_owned()?.into())))
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn socket(&self) -> io::Result<Option<Socket>> {
        Ok(Some(Socket::Unix(self.as_fd().try_clone_to_owned()?.into())))
    }
}

/// What is written is encrypted first.
impl Stream for TlsStream<TcpStream> {}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_second_handle_writes_to_the_same_socket_and_never_blocks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (own, other) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut own, (mut other, _)) = (own.expect("connected"), other.expect("connected"));
        let socket = own.socket().expect("a descriptor").expect("a plain stream");
        own.write_all(b"from the stream, ").await.expect("written");
        assert_eq!(socket.write(b"from the handle").expect("written"), 15);
        drop((own, socket));
        let mut received = String::new();
        other.read_to_string(&mut received).await.expect("the end");
        assert_eq!(received, "from the stream, from the handle");
    }

    #[cfg(unix)]
    #[tokio::test(flavor = "current_thread")]
    async fn a_second_handle_of_a_unix_socket_never_blocks() {
        let (own, _other) = UnixStream::pair().expect("a pair");
        let socket = own.socket().expect("a descriptor").expect("a plain stream");
        let chunk = [b'x'; 4_096];
        let error = loop {
            if let Err(error) = socket.write(&chunk) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "the socket is full");
    }
}
