//! A stream of which at most so many bytes are read: who talks without end is cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails once more than so many bytes have come in.
#[derive(Debug)]
pub(super) struct Metered<S> {
    inner: S,
    left: usize,
}

impl<S> Metered<S> {
    pub fn new(inner: S, bytes_max: usize) -> Self {
        Metered { inner, left: bytes_max }
    }

    /// Whether the stream was cut off.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("too many bytes")));
        }
        let mut part = buffer.take(self.left);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut part))?;
        let count = part.filled().len();
        // `part` reads into the unfilled front of `buffer`, whose initialised part has grown with it.
        let filled = part.filled().to_vec();
        buffer.put_slice(&filled);
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_is_read_than_allowed() {
        let mut stream = Metered::new(&[7; 100][..], 60);
        let mut bytes = Vec::new();
        assert!(stream.read_to_end(&mut bytes).await.is_err());
        assert_eq!((bytes, stream.is_spent()), (vec![7; 60], true));
    }

    #[tokio::test]
    async fn what_is_allowed_is_read_to_its_end() {
        let mut stream = Metered::new(&[7; 59][..], 60);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!((bytes.len(), stream.is_spent()), (59, false));
    }
}
