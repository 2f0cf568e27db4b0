//! The closed lists: every code that Varde tells a client instead of prose.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:tt,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $code)] $variant,)*
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code on the wire, in the ledger and in message catalogues.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// `None` for a code of a newer release.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// Why a stretch of time has no recording.
    GapCause {
        /// The device did not answer (cable, power, network).
        Unreachable = "unreachable",
        /// The device refused the password.
        WrongPassword = "wrong_password",
        /// The device has no such stream.
        NoSuchStream = "no_such_stream",
        /// The device sends a codec that can't be recorded.
        UnsupportedCodec = "unsupported_codec",
        /// The connection stands but no picture came.
        Silent = "silent",
        /// What came could not be understood.
        BadData = "bad_data",
        /// The device ended the connection.
        Disconnected = "disconnected",
        /// No storage had room.
        DiskFull = "disk_full",
        /// The storage could not keep up; whole groups of pictures were dropped.
        DiskSlow = "disk_slow",
        /// The storage reported an error.
        DiskError = "disk_error",
        /// The server's clock was set forward.
        ClockSetForward = "clock_set_forward",
        /// The recorder was not running.
        RecorderDown = "recorder_down",
        /// Recording was switched off by a person or a rule.
        Disabled = "disabled",
        /// The camera was retired.
        Retired = "retired",
        /// Retention removed the footage.
        Expired = "expired",
        /// A person erased the footage.
        Erased = "erased",
        /// The address is outside the allowed networks.
        AddressNotAllowed = "address_not_allowed",
        /// Varde cannot say.
        Unknown = "unknown",
    }
}

codes! {
    /// The state of a device or stream, as a tile shows it.
    CameraState {
        Connecting = "connecting",
        Online = "online",
        Unreachable = "unreachable",
        WrongPassword = "wrong_password",
        NoSuchStream = "no_such_stream",
        UnsupportedCodec = "unsupported_codec",
        /// Parameters: `seconds`.
        Silent = "silent",
        BadData = "bad_data",
        Disconnected = "disconnected",
        AddressNotAllowed = "address_not_allowed",
        Disabled = "disabled",
        Retired = "retired",
    }
}

impl CameraState {
    /// The cause of the gap that this state leaves in a recording; `None` while pictures come.
    pub const fn gap_cause(self) -> Option<GapCause> {
        Some(match self {
            Self::Online => return None,
            Self::Connecting => GapCause::Unreachable,
            Self::Unreachable => GapCause::Unreachable,
            Self::WrongPassword => GapCause::WrongPassword,
            Self::NoSuchStream => GapCause::NoSuchStream,
            Self::UnsupportedCodec => GapCause::UnsupportedCodec,
            Self::Silent => GapCause::Silent,
            Self::BadData => GapCause::BadData,
            Self::Disconnected => GapCause::Disconnected,
            Self::AddressNotAllowed => GapCause::AddressNotAllowed,
            Self::Disabled => GapCause::Disabled,
            Self::Retired => GapCause::Retired,
        })
    }
}

codes! {
    /// The state of a storage.
    StorageState {
        Online = "online",
        /// Nearly full of footage that may not be deleted.
        Full = "full",
        ReadOnly = "read_only",
        /// A write or flush failed; files in use were sealed as suspect.
        Suspect = "suspect",
        Offline = "offline",
    }
}

codes! {
    /// Types of events; CloudEvents `type`.
    EventType {
        CameraState = "varde.camera.state",
        CameraAdded = "varde.camera.added",
        CameraChanged = "varde.camera.changed",
        CameraRetired = "varde.camera.retired",
        RecordingGap = "varde.recording.gap",
        StorageState = "varde.storage.state",
        ClockChanged = "varde.clock.changed",
        RecorderStarted = "varde.recorder.started",
        SignIn = "varde.sign_in",
        SignInRefused = "varde.sign_in.refused",
    }
}

codes! {
    /// Why a request was refused; `code` of a problem document.
    ProblemCode {
        /// The request could not be understood. Parameters: `field` where one is to blame.
        InvalidRequest = "invalid_request",
        /// The body is not JSON.
        UnsupportedMediaType = "unsupported_media_type",
        /// The body is over the limit.
        TooLarge = "too_large",
        /// The request took too long to arrive or to answer.
        TimedOut = "timed_out",
        /// No or no valid credential.
        NotSignedIn = "not_signed_in",
        /// User or password is wrong.
        WrongCredentials = "wrong_credentials",
        /// The account's second factor is asked for.
        SecondFactorNeeded = "second_factor_needed",
        /// The role does not hold the right.
        Forbidden = "forbidden",
        /// The request came from another site's page, or lacks the session's CSRF value.
        ForeignOrigin = "foreign_origin",
        /// The server does not answer to this name. Parameters: `host`.
        UnknownHost = "unknown_host",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        /// Somebody changed the object meanwhile. Parameters: `version_sent`, `version_now`.
        Conflict = "conflict",
        /// The name is taken. Parameters: `field`.
        AlreadyExists = "already_exists",
        /// Other objects still need this one.
        InUse = "in_use",
        /// The last enabled administrator can't be removed, disabled or demoted.
        LastAdministrator = "last_administrator",
        /// The password is too short, too long or too common. Parameters: `reason`, `length_min`.
        PasswordRefused = "password_refused",
        /// The address is outside the allowed networks.
        AddressNotAllowed = "address_not_allowed",
        /// Too many attempts. Parameters: `retry_after_seconds`.
        TooManyRequests = "too_many_requests",
        /// A named limit is reached. Parameters: `limit`.
        LimitReached = "limit_reached",
        /// Set-up has not been done; nobody can sign in.
        SetupNeeded = "setup_needed",
        /// Set-up was done already.
        SetupDone = "setup_done",
        /// The set-up code is wrong or has expired.
        WrongSetupCode = "wrong_setup_code",
        /// The recording role does not answer.
        RecorderUnavailable = "recorder_unavailable",
        /// The database does not answer; what is recorded and shown goes on.
        DatabaseUnavailable = "database_unavailable",
        /// Nothing is recorded in the range.
        NoRecording = "no_recording",
        /// The byte range lies outside the file. Parameters: `bytes`.
        RangeNotSatisfiable = "range_not_satisfiable",
        /// The codec can't be delivered this way. Parameters: `codec`.
        CodecNotSupported = "codec_not_supported",
        /// The camera gives no picture now. Parameters: `state`.
        NoPicture = "no_picture",
        /// Every transcoding place is taken. Parameters: `limit`.
        TranscodeLimit = "transcode_limit",
        /// The server was stopped before it was done.
        Interrupted = "interrupted",
        /// A defect in Varde; the log holds the detail under the request id.
        Internal = "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for &cause in GapCause::ALL {
            assert_eq!(GapCause::from_code(cause.code()), Some(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.code());
        }
    }
}
