//! RTP packets, RTCP, reordering, payload formats and the media clock.
