//! One connection: the exchange of Hellos, and the streams that frames go over, one each way for each class.

use bytes::Bytes;
use certificate::ReplicaId;
use certificate::codec::Encode;
use quinn::{Connection, RecvStream, SendStream};

use super::class::Class;
use super::hello::Hello;
use super::link_error::{HELLO_TIMEOUT, LinkError};
use crate::frame::{FrameRules, LENGTH_BYTES};

/// A Hello is far shorter than a message may be.
pub(crate) const HELLO_RULES: FrameRules = FrameRules { message_bytes_max: 256, compression: false };

/// A connection whose two ends have said Hello and mean the same cluster.
pub(crate) struct Greeted {
    pub connection: Connection,
    pub peer: ReplicaId,
    pub hello: Hello,
    pub send: SendStream,
    pub receive: RecvStream,
}

/// Says Hello and judges that of `peer`, whose key the handshake has proven.
pub(crate) async fn greet(
    connection: &Connection,
    peer: ReplicaId,
    hello: &Hello,
) -> Result<Greeted, LinkError> {
    let exchange = async {
        let mut send = open(connection, Class::Consensus).await?;
        send.write_chunk(HELLO_RULES.encode(&hello.to_bytes())?).await?;
        let mut receive = accept(connection, Class::Consensus).await?;
        let theirs = Hello::read(&read_frame(&mut receive, HELLO_RULES).await?)?;
        hello.judge(&theirs, peer)?;
        Ok(Greeted { connection: connection.clone(), peer, hello: theirs, send, receive })
    };
    let exchanged = tokio::time::timeout(HELLO_TIMEOUT, exchange).await.unwrap_or(Err(LinkError::NoHello));
    exchanged.map_err(|reason| match (reason, connection.close_reason()) {
        // The peer has judged first: what it says is the reason, not that a stream broke off.
        (LinkError::Read(_) | LinkError::Write(_), Some(closed)) => LinkError::Connection(closed),
        (reason, _) => reason,
    })
}

/// Opens our stream of a class.
pub(crate) async fn open(connection: &Connection, class: Class) -> Result<SendStream, LinkError> {
    let mut send = connection.open_uni().await?;
    let priority = match class {
        Class::Consensus => 1,
        Class::Bulk => 0,
        Class::News => -1,
    };
    // Fails only on a closed stream, which the write reports.
    let _ = send.set_priority(priority);
    send.write_all(&[class as u8]).await?;
    Ok(send)
}

/// Accepts the peer's stream of a class. Streams come in the order in which they are opened.
pub(crate) async fn accept(connection: &Connection, expected: Class) -> Result<RecvStream, LinkError> {
    let mut receive = connection.accept_uni().await?;
    let mut class = [0];
    receive.read_exact(&mut class).await?;
    if class[0] != expected as u8 {
        return Err(LinkError::Stream { expected, found: class[0] });
    }
    Ok(receive)
}

/// Reads one frame and takes its message out.
pub(crate) async fn read_frame(receive: &mut RecvStream, rules: FrameRules) -> Result<Bytes, LinkError> {
    let mut length = [0; LENGTH_BYTES];
    receive.read_exact(&mut length).await?;
    let mut frame = vec![0; rules.length(length)?];
    receive.read_exact(&mut frame).await?;
    Ok(rules.decode(frame.into())?)
}
