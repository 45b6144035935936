//! `Requires-Dist` lines of a wheel's metadata (PEP 508), as far as finding CUDA's run-time wheels needs them.

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Normalised: lower case, dashes.
    pub name: String,
    pub extras: Vec<String>,
    /// `==13.0.96.*`; empty when any version does.
    pub specifier: String,
    /// The extra of the requiring package that brings it in.
    pub for_extra: Option<String>,
}

impl Requirement {
    /// As pip takes it.
    pub fn to_pip(&self) -> String {
        format!("{}{}", self.name, self.specifier)
    }
}

/// Every `Requires-Dist` of a `METADATA` file. Markers other than extras are not evaluated: the caller asks for packages by name,
/// and the wheel that it reads was chosen by pip for this machine.
pub fn parse(metadata: &str) -> Vec<Requirement> {
    // Headers end at the first empty line; what follows is the description.
    let headers = metadata.lines().take_while(|line| !line.trim().is_empty());
    headers.filter_map(|line| line.strip_prefix("Requires-Dist:")).filter_map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<Requirement> {
    let (requirement, marker) = text.split_once(';').unwrap_or((text, ""));
    let requirement = requirement.trim();
    let name_end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(name_end);
    let rest = rest.trim();
    let (extras, specifier) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((extras, specifier)) => {
            (extras.split(',').map(|extra| extra.trim().to_owned()).collect(), specifier)
        }
        None => (Vec::new(), rest),
    };
    let specifier: String = specifier.chars().filter(|c| !c.is_whitespace() && !"()".contains(*c)).collect();
    (!name.is_empty()).then(|| Requirement {
        name: name.to_ascii_lowercase().replace(['_', '.'], "-"),
        extras,
        specifier,
        for_extra: extra_of(marker),
    })
}

/// The value in `extra == "cudart"`.
fn extra_of(marker: &str) -> Option<String> {
    let after = marker.split("extra").nth(1)?.trim_start().strip_prefix("==")?.trim_start();
    let quote = after.chars().next().filter(|c| "'\"".contains(*c))?;
    after[1..].split_once(quote).map(|(value, _)| value.to_owned())
}

/// The requirement for a package of NVIDIA's (`nvidia-cuda-runtime`, also under older names such as `nvidia-cuda-runtime-cu12`)
/// that is brought in unconditionally or by one of the `extras`.
pub fn find<'a>(requirements: &'a [Requirement], name: &str, extras: &[String]) -> Option<&'a Requirement> {
    let is_named = |requirement: &Requirement| {
        let rest = requirement.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-cu"))
    };
    let is_on = |requirement: &Requirement| match &requirement.for_extra {
        Some(extra) => extras.contains(extra),
        None => true,
    };
    requirements.iter().find(|requirement| is_named(requirement) && is_on(requirement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TORCH: &str = "Metadata-Version: 2.1\nName: torch\nRequires-Python: >=3.10\nRequires-Dist: filelock\n\
        Requires-Dist: cuda-toolkit[cublas,cudart, cupti]==13.0.2; platform_system == \"Linux\"\n\
        Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"\n\
        Requires-Dist: optree>=0.13.0; extra == \"optree\"\n\nRequires-Dist: not-a-header==1\n";
    const TOOLKIT: &str = "Name: cuda-toolkit\n\
        Requires-Dist: nvidia-cuda-runtime==13.0.88.*; (sys_platform == 'linux') and extra == 'other'\n\
        Requires-Dist: nvidia-cuda-runtime==13.0.96.*; (sys_platform == 'linux' or sys_platform == 'win32') and extra == 'cudart'\n\
        Requires-Dist: nvidia-cuda-cupti==13.0.85.*; (sys_platform == 'linux') and extra == 'cupti'\n";

    #[test]
    fn the_toolkit_and_its_extras_are_read() {
        let requirements = parse(TORCH);
        assert_eq!(requirements.len(), 4, "what follows the headers is no requirement");
        let toolkit = find(&requirements, "cuda-toolkit", &[]).unwrap();
        assert_eq!(toolkit.extras, ["cublas", "cudart", "cupti"]);
        assert_eq!(toolkit.to_pip(), "cuda-toolkit==13.0.2");
        assert_eq!(requirements[2].specifier, "<14,>=13.0.3");
        assert_eq!(requirements[3].for_extra.as_deref(), Some("optree"));
    }

    #[test]
    fn the_extra_decides_between_versions() {
        let requirements = parse(TOOLKIT);
        let extras = ["cudart".to_owned(), "cupti".to_owned()];
        let runtime = find(&requirements, "nvidia-cuda-runtime", &extras).unwrap();
        assert_eq!(runtime.to_pip(), "nvidia-cuda-runtime==13.0.96.*");
        assert_eq!(find(&requirements, "nvidia-cuda-cupti", &extras).unwrap().specifier, "==13.0.85.*");
        assert_eq!(find(&requirements, "nvidia-cuda-cupti", &[]), None);
    }

    #[test]
    fn older_names_and_forms_are_read() {
        let requirements =
            parse("Requires-Dist: nvidia_cuda_runtime_cu12 (==12.8.90) ; platform_system == 'Linux'\n");
        let runtime = find(&requirements, "nvidia-cuda-runtime", &[]).unwrap();
        assert_eq!(runtime.to_pip(), "nvidia-cuda-runtime-cu12==12.8.90");
        assert_eq!(find(&requirements, "nvidia-cuda", &[]), None, "a prefix is not a name");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            parse(&format!("Requires-Dist: {text}\n"));
            parse(&format!("Requires-Dist: a; extra == {text}\n"));
        }
    }
}
