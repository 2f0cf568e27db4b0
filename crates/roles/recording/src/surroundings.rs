//! The real clocks and randomness, as drivers and the store see them.

use varde_driver::Surroundings;
use varde_media_store::Ambient;
use varde_units::{Mono, Utc};

#[derive(Clone, Copy, Debug)]
pub struct RealSurroundings;

impl Surroundings for RealSurroundings {
    fn mono(&self) -> Mono {
        varde_ambient::mono_now()
    }

    fn utc(&self) -> Utc {
        varde_ambient::utc_now()
    }

    fn random(&self, limit: u64) -> u64 {
        varde_ambient::random_below_or_equal(limit)
    }
}

impl Ambient for RealSurroundings {
    fn mono(&self) -> Mono {
        varde_ambient::mono_now()
    }

    fn utc(&self) -> Utc {
        varde_ambient::utc_now()
    }

    fn synchronised(&self) -> bool {
        varde_ambient::clock_is_synchronised()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        varde_ambient::random_fill(bytes);
    }
}
