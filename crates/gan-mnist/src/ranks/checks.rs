//! Whether ranks compute the same.

use gannet::{Backend, Gan};
use gannet_data::DataSet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::device::Device;
use crate::error::{Error, Result};

/// What has to be the same on all ranks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    version: String,
    recipe: String,
    images: usize,
    data: String,
    device: String,
}

impl Fingerprint {
    /// Of this process.
    pub fn of<B: Backend>(gan: &Gan<B>, data: &DataSet, device: &Device) -> Result<Self> {
        let device = match device {
            Device::Cpu(cpu) => format!("the CPU by {}", cpu.isa().name()),
            Device::Gpu(gpu) => gpu.describe(),
            Device::Reference(reference) => reference.describe(),
        };
        let recipe = Sha256::digest(gan.config().to_toml()?);
        Ok(Fingerprint {
            version: env!("CARGO_PKG_VERSION").into(),
            recipe: recipe.iter().map(|byte| format!("{byte:02x}")).collect(),
            images: data.len(),
            data: data.record().sha256.clone(),
            device,
        })
    }
}

/// What a rank says of itself: its fingerprint, or why it cannot take part.
pub(super) type Said = std::result::Result<Fingerprint, String>;

/// Errors unless all ranks can take part and compute the same as rank 0; if `mixed`, nearly the same is enough.
pub(super) fn check(said: &[Said], mixed: bool) -> Result<()> {
    let Some(Ok(first)) = said.first() else {
        return Err(Error::failure("rank 0 cannot take part"));
    };
    for (rank, said) in said.iter().enumerate() {
        let own = said.as_ref().map_err(|message| Error::failure(format!("rank {rank}: {message}")))?;
        let differs =
            |what: &str, own: &dyn std::fmt::Display, first: &dyn std::fmt::Display, advice: &str| {
                Err(Error::failure(format!("rank {rank} {what} {own}, and rank 0 {first}: {advice}")))
            };
        let short = |digest: &str| digest.chars().take(16).collect::<String>();
        if own.version != first.version {
            return differs("is version", &own.version, &first.version, "all have to be the same program");
        }
        if (own.images, &own.data) != (first.images, &first.data) {
            let of = |f: &Fingerprint| format!("{} images of sha256 {}", f.images, short(&f.data));
            return differs("has", &of(own), &of(first), "all have to train on the same images");
        }
        if own.recipe != first.recipe {
            let (own, first) = (short(&own.recipe), short(&first.recipe));
            return differs("trains a recipe of sha256", &own, &first, "all have to be the same program");
        }
        if own.device != first.device && !mixed {
            return differs(
                "computes on",
                &own.device,
                &first.device,
                "they round differently, so the run would not repeat bit for bit; go on all the same with --mixed, or give \
                 all the same (GANNET_ISA=avx2 chooses an instruction set)",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Vec<Said> {
        let fingerprint = Fingerprint {
            version: "1.2.3".into(),
            recipe: "ab".repeat(32),
            images: 20,
            data: "cd".repeat(32),
            device: "the CPU by AVX2".into(),
        };
        vec![Ok(fingerprint); 3]
    }

    #[test]
    fn the_rank_that_differs_is_named_with_what_differs() {
        check(&said(), false).unwrap();
        type Change = fn(&mut Fingerprint);
        let message = |change: Change, mixed: bool| {
            let mut said = said();
            said[2].iter_mut().for_each(change);
            check(&said, mixed).map_err(|error| error.to_string())
        };
        let changes: [(Change, [&str; 2]); 5] = [
            (|f| f.version = "1.2.4".into(), ["version 1.2.4", "rank 0 1.2.3"]),
            (|f| f.images = 19, ["19 images", "rank 0 20 images"]),
            (|f| f.data = "0".repeat(64), ["20 images of sha256 0000", "rank 0 20 images of sha256 cdcd"]),
            (|f| f.recipe = "0".repeat(64), ["recipe of sha256 0000", "rank 0 abab"]),
            (|f| f.device = "the CPU by portable".into(), ["computes on the CPU by portable", "--mixed"]),
        ];
        for (change, parts) in changes {
            let message = message(change, false).unwrap_err();
            assert!(message.starts_with("rank 2 ") && parts.iter().all(|p| message.contains(p)), "{message}");
        }
        message(|f| f.device = "another".into(), true).unwrap();
        message(|f| f.images = 1, true).unwrap_err();
        let mut cannot = said();
        cannot[1] = Err("cannot read photos".into());
        assert_eq!(check(&cannot, true).unwrap_err().to_string(), "rank 1: cannot read photos");
    }
}
