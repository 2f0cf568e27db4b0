//! A WebRTC player for the tests: the one of `edge/webrtc`'s own tests.

#[path = "../../../../edge/webrtc/tests/it/client.rs"]
#[expect(dead_code, reason = "the tests of edge/webrtc ask for more")]
mod client;

pub(crate) use client::Client;

/// Plays until so many pictures came, and some sound where there is any. Gives the pictures from the first with
/// parameter sets on (Annex B), and how many frames of sound came.
pub(crate) fn receive(
    mut client: Client,
    answer: &str,
    pictures: usize,
    sound: bool,
) -> (Vec<Vec<u8>>, usize) {
    client.accept(answer);
    let begin = |client: &Client| {
        client.frames(client.video).position(|frame| starts_group(&frame.data)).unwrap_or(usize::MAX)
    };
    client.play(
        || {},
        |client| {
            client.frames(client.video).count() >= begin(client).saturating_add(pictures)
                && (!sound || client.frames(client.audio).count() >= 20)
        },
    );
    let begin = begin(&client);
    let pictures = client.frames(client.video).skip(begin).map(|frame| frame.data.clone()).collect();
    (pictures, client.frames(client.audio).count())
}

/// Whether a picture comes with parameter sets: a sequence parameter set of H.264 or a video one of H.265 leads.
fn starts_group(picture: &[u8]) -> bool {
    let nal = picture.iter().position(|&byte| byte == 1).and_then(|at| picture.get(at + 1));
    nal.is_some_and(|&head| head & 0x1f == 7 || head == 32 << 1)
}
