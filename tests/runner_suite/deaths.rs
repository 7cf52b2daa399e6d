//! What is left by those who died is no leak; what others left is one.

use crate::project::Project;

const READY: &str = "Given the 'b' process is ready";
const KILLED: &str = "When the 'b' process is killed";

#[test]
fn a_death_is_no_excuse_for_others() {
    let project = Project::new();
    project.steps(&[READY, KILLED, "And the 'a' process works"]);
    for manner in [&["run"][..], &["run", "--no-sandbox"]] {
        let ran = project.run(&[manner, &["leaks_honest"]].concat());
        ran.assert(1, "left behind: /dev/shm/zbt-leaks_");
        ran.assert(1, "1 leaked in ");
    }
}

#[test]
fn what_the_dead_left_is_cleared_away() {
    let project = Project::new();
    project.steps(&[
        "Given the 'a' process is ready",
        "When the 'b' process works",
        KILLED,
    ]);
    for manner in [&["run"][..], &["run", "--no-sandbox"]] {
        let ran = project.run(&[manner, &["-v", "honest_leaks"]].concat());
        ran.assert(0, "/dev/shm/zbt-leaks_");
        ran.assert(0, "1 passed in ");
    }
}
