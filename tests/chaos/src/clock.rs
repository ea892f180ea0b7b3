//! Envoy's clock, which can be set while it runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::truth::World;

/// A clock that a process is given when it starts.
pub(crate) struct Clock {
    dir: TempDir,
    file: File,
}

impl Clock {
    /// Builds the library that shows it to a process.
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (source, library) = (dir.path().join("clock.c"), Self::library(dir.path()));
        std::fs::write(&source, include_str!("clock.c"))?;
        let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(library).arg(source).status();
        ensure!(built.context("starting cc (Debian: apt-get install build-essential)")?.success(), "cc failed");
        let file = File::create(dir.path().join("ahead"))?;
        file.write_all_at(&0_i64.to_ne_bytes(), 0)?;
        Ok(Self { dir, file })
    }

    /// What gives it to a process.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".to_owned(), text(Self::library(self.dir.path()))),
            ("SCOPEGATE_CHAOS_CLOCK".to_owned(), text(self.dir.path().join("ahead"))),
        ]
    }

    /// Sets it so many seconds ahead of the real time.
    pub(crate) fn set(&self, ahead: i64, world: &World) -> Result<()> {
        world.jump(ahead);
        Ok(self.file.write_all_at(&ahead.to_ne_bytes(), 0)?)
    }

    fn library(dir: &Path) -> PathBuf {
        dir.join("clock.so")
    }
}
