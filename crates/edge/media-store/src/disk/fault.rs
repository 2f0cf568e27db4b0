//! A disk in memory that fails, fills up, loses power and forgets what was not flushed, for tests and soaks.
//!
//! Its rules are the strict reading of POSIX: bytes are durable after a flush of their file, names after a flush of
//! their folder. After a failed flush the bytes that it should have covered are never durable any more.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{DirectoryEntry, Disk, DiskFile, Space};

const SECTOR: usize = 512;

/// What a call does, for choosing which ones fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Open,
    CreateFolder,
    List,
    Remove,
    Rename,
    SyncFolder,
    SyncAll,
    Write,
    Read,
    Truncate,
    Sync,
}

impl Operation {
    const fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Read)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(u64),
    Folder,
}

/// A change that no flush has covered yet.
#[derive(Clone, Debug)]
enum Pending {
    Write { inode: u64, offset: u64, bytes: Arc<[u8]> },
    Truncate { inode: u64, length: u64 },
    Name { path: String, node: Option<Node> },
    Rename { from: String, to: String },
}

/// Names and contents.
#[derive(Clone, Debug, Default)]
struct Image {
    names: BTreeMap<String, Node>,
    files: BTreeMap<u64, Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    live: Image,
    durable: Image,
    pending: Vec<Pending>,
    next_inode: u64,
    operations: u64,
    power_off_at: Option<u64>,
    fail_at: Option<(u64, io::ErrorKind)>,
    failing: Option<(Operation, io::ErrorKind, u32)>,
    read_only: bool,
    capacity: Option<u64>,
    syncs: Vec<(String, bool)>,
    own_file_system: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct FaultDisk {
    state: Arc<Mutex<State>>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn write_into(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset as usize..end].copy_from_slice(bytes);
}

impl Image {
    fn apply(&mut self, change: &Pending) {
        match change {
            Pending::Write { inode, offset, bytes } => {
                write_into(self.files.entry(*inode).or_default(), *offset, bytes);
            }
            Pending::Truncate { inode, length } => {
                self.files.entry(*inode).or_default().resize(*length as usize, 0);
            }
            Pending::Name { path, node } => {
                let has_parent = parent(path).is_empty() || self.names.contains_key(parent(path));
                match node {
                    Some(node) if has_parent => {
                        if let Node::File(inode) = node {
                            self.files.entry(*inode).or_default();
                        }
                        self.names.insert(path.clone(), *node);
                    }
                    Some(_) => {}
                    None => drop(self.names.remove(path)),
                }
            }
            Pending::Rename { from, to } => {
                if let Some(node) = self.names.remove(from) {
                    self.names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// A small generator: the same seed gives the same disaster.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ value >> 31) % sides.max(1)
    }
}

impl State {
    fn check(&mut self, operation: Operation) -> io::Result<()> {
        self.operations += 1;
        if self.power_off_at.is_some_and(|at| self.operations > at) {
            return Err(io::Error::other("the power is off"));
        }
        if let Some((at, kind)) = self.fail_at
            && at == self.operations
        {
            return Err(kind.into());
        }
        if let Some((failing, kind, left)) = &mut self.failing
            && *failing == operation
            && *left > 0
        {
            *left -= 1;
            return Err((*kind).into());
        }
        if self.read_only && operation.changes() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let files = self.live.names.values().filter_map(|node| match node {
            Node::File(inode) => self.live.files.get(inode),
            Node::Folder => None,
        });
        files.map(|file| file.len() as u64).sum()
    }

    fn change(&mut self, change: Pending) {
        self.live.apply(&change);
        self.pending.push(change);
    }

    fn make_durable(&mut self, covered: impl Fn(&Pending) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            // A name in a folder whose own name is not durable yet can't be found after a power cut.
            let reachable = match &change {
                Pending::Name { path, .. } => {
                    parent(path).is_empty() || self.durable.names.contains_key(parent(path))
                }
                _ => true,
            };
            if reachable && covered(&change) {
                self.durable.apply(&change);
            } else {
                self.pending.push(change);
            }
        }
    }

    fn inode(&self, path: &str) -> io::Result<u64> {
        match self.live.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn needs_parent(&self, path: &str) -> io::Result<()> {
        match parent(path) {
            "" => Ok(()),
            folder if self.live.names.get(folder) == Some(&Node::Folder) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl FaultDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls so far, of every kind.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Every call after this one fails, and changes nothing.
    pub fn power_off_at(&self, operation: u64) {
        self.state.lock().power_off_at = Some(operation);
    }

    pub fn power_off_now(&self) {
        let mut state = self.state.lock();
        state.power_off_at = Some(state.operations);
    }

    /// The call of this number fails, once.
    pub fn fail_at(&self, operation: u64, kind: io::ErrorKind) {
        self.state.lock().fail_at = Some((operation, kind));
    }

    /// The next `times` calls of a kind fail.
    pub fn fail(&self, operation: Operation, kind: io::ErrorKind, times: u32) {
        self.state.lock().failing = Some((operation, kind, times));
    }

    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    pub fn set_own_file_system(&self, own: bool) {
        self.state.lock().own_file_system = own;
    }

    /// Each flush of a file so far, and whether it was done.
    pub fn syncs(&self) -> Vec<(String, bool)> {
        self.state.lock().syncs.clone()
    }

    /// What a machine finds after the power comes back: what was flushed, and of the rest whatever chance kept, torn
    /// at sectors and in any order.
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let state = self.state.lock();
        let mut dice = Dice(seed);
        let mut image = state.durable.clone();
        for change in &state.pending {
            match (dice.roll(4), change) {
                (0, _) => {}
                (1, Pending::Write { inode, offset, bytes }) => {
                    // A prefix of whole sectors.
                    let sectors = dice.roll(bytes.len() as u64 / SECTOR as u64 + 1) as usize;
                    let bytes: Arc<[u8]> = bytes[..sectors * SECTOR].into();
                    image.apply(&Pending::Write { inode: *inode, offset: *offset, bytes });
                }
                (2, Pending::Write { inode, offset, bytes }) => {
                    // Any sectors.
                    for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                        if dice.roll(2) == 0 {
                            let offset = offset + (at * SECTOR) as u64;
                            image.apply(&Pending::Write { inode: *inode, offset, bytes: sector.into() });
                        }
                    }
                }
                _ => image.apply(change),
            }
        }
        Self::holding(image, &state)
    }

    /// What a new process finds after the old one was killed: everything that was written.
    pub fn after_kill(&self) -> Self {
        let state = self.state.lock();
        let disk = Self::holding(state.live.clone(), &state);
        disk.state.lock().durable = state.durable.clone();
        disk.state.lock().pending = state.pending.clone();
        disk
    }

    fn holding(image: Image, old: &State) -> Self {
        let state = State {
            live: image.clone(),
            durable: image,
            next_inode: old.next_inode,
            own_file_system: old.own_file_system,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// All files by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.lock();
        let files = state.live.names.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => {
                Some((path.clone(), state.live.files.get(inode).cloned().unwrap_or_default()))
            }
            Node::Folder => None,
        });
        files.collect()
    }

    /// Puts a file there as another program would, durably.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut state = self.state.lock();
        let inode = state.inode(path).unwrap_or(state.next_inode);
        state.next_inode = state.next_inode.max(inode + 1);
        for image in [0, 1] {
            let image = if image == 0 { &mut state.live } else { &mut state.durable };
            image.names.insert(path.to_owned(), Node::File(inode));
            image.files.insert(inode, bytes.to_vec());
        }
    }

    fn file(&self, path: &str, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile { state: Arc::downgrade(&self.state), path: path.to_owned(), inode })
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check(Operation::Create)?;
        state.needs_parent(path)?;
        if state.live.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        state.live.files.insert(inode, Vec::new());
        state.change(Pending::Name { path: path.to_owned(), node: Some(Node::File(inode)) });
        drop(state);
        Ok(self.file(path, inode))
    }

    fn open(&self, path: &str, _write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check(Operation::Open)?;
        let inode = state.inode(path)?;
        drop(state);
        Ok(self.file(path, inode))
    }

    fn create_folder(&self, path: &str) -> io::Result<bool> {
        let mut state = self.state.lock();
        state.check(Operation::CreateFolder)?;
        state.needs_parent(path)?;
        if state.live.names.contains_key(path) {
            return Ok(false);
        }
        state.change(Pending::Name { path: path.to_owned(), node: Some(Node::Folder) });
        Ok(true)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        let mut state = self.state.lock();
        state.check(Operation::List)?;
        if !path.is_empty() && state.live.names.get(path) != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entries = state.live.names.iter().filter(|(name, _)| parent(name) == path);
        Ok(entries
            .map(|(name, node)| DirectoryEntry {
                name: name.rsplit('/').next().unwrap_or(name).to_owned(),
                is_folder: *node == Node::Folder,
            })
            .collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Remove)?;
        state.inode(path)?;
        state.change(Pending::Name { path: path.to_owned(), node: None });
        Ok(())
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Remove)?;
        if state.live.names.keys().any(|name| parent(name) == path) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.change(Pending::Name { path: path.to_owned(), node: None });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Rename)?;
        state.inode(from)?;
        state.change(Pending::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::SyncFolder)?;
        state.make_durable(|change| match change {
            Pending::Name { path: name, .. } => parent(name) == path,
            Pending::Rename { to, .. } => parent(to) == path,
            _ => false,
        });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Err(error) = state.check(Operation::SyncAll) {
            state
                .pending
                .retain(|change| !matches!(change, Pending::Write { .. } | Pending::Truncate { .. }));
            return Err(error);
        }
        state.make_durable(|_| true);
        Ok(())
    }

    fn own_file_system(&self) -> bool {
        self.state.lock().own_file_system
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state.lock();
        let capacity_bytes = state.capacity.unwrap_or(1 << 40);
        Ok(Space { free_bytes: capacity_bytes.saturating_sub(state.used()), capacity_bytes })
    }
}

#[derive(Debug)]
struct FaultFile {
    state: Weak<Mutex<State>>,
    path: String,
    inode: u64,
}

impl FaultFile {
    fn state(&self) -> io::Result<Arc<Mutex<State>>> {
        self.state.upgrade().ok_or_else(|| io::Error::other("the disk is gone"))
    }
}

impl DiskFile for FaultFile {
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let state = self.state()?;
        let mut state = state.lock();
        state.check(Operation::Write)?;
        let mut bytes: Vec<u8> = Vec::new();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let length = state.live.files.get(&self.inode).map_or(0, |file| file.len() as u64);
        let grows = (offset + bytes.len() as u64).saturating_sub(length);
        let free = state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used()));
        if grows > free {
            // As much as fits is written, as a kernel does.
            bytes.truncate(bytes.len() - (grows - free) as usize);
            state.change(Pending::Write { inode: self.inode, offset, bytes: bytes.into() });
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change(Pending::Write { inode: self.inode, offset, bytes: bytes.into() });
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        let mut state = state.lock();
        state.check(Operation::Read)?;
        let file = state.live.files.get(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let rest = file.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.state()?;
        let state = state.lock();
        Ok(state.live.files.get(&self.inode).map_or(0, |file| file.len() as u64))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let state = self.state()?;
        let mut state = state.lock();
        state.check(Operation::Truncate)?;
        state.change(Pending::Truncate { inode: self.inode, length });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = self.state()?;
        let mut state = state.lock();
        let inode = self.inode;
        let of_this = |change: &Pending| {
            matches!(change, Pending::Write { inode: other, .. } | Pending::Truncate { inode: other, .. }
                if *other == inode)
        };
        let outcome = state.check(Operation::Sync);
        state.syncs.push((self.path.clone(), outcome.is_ok()));
        match outcome {
            Ok(()) => state.make_durable(of_this),
            // The kernel may have dropped the pages: a later flush would not bring them back.
            Err(_) => state.pending.retain(|change| !of_this(change)),
        }
        outcome
    }
}
