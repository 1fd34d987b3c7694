//! `complete-lifecycle`: its rules as tables.

use chrono::{DateTime, Utc};
use onair_core::complete_lifecycle::{
    ActivityStatus, Command, CommandRequest, CommandStatus, Direction, FleetPolicy, History,
    InstanceId, LaunchPolicy, LifecycleWait, LogCheck, Next, NoRecap, Observed, PassRule,
    PlayRecap, Receipt, ScalingActivity, StepResult, TerminatePolicy, WaitCommands, WaitState,
    is_bucket, is_directory, is_document, is_hook, is_playbook, is_variables, next,
};
use proptest::prelude::*;

pub(crate) fn fleet() -> FleetPolicy {
    FleetPolicy {
        group: "web".to_owned(),
        launch: Some(LaunchPolicy {
            hook: "onair-launch".to_owned(),
            bucket: "fleet-bucket".to_owned(),
            region: "us-west-2".to_owned(),
            playbook: "web.yml".to_owned(),
            check_mode: false,
            rule: PassRule::NothingFailed,
            timeout_seconds: 1800,
            extra_variables: String::new(),
        }),
        terminate: Some(TerminatePolicy {
            hook: "onair-terminate".to_owned(),
            bucket: "fleet-bucket".to_owned(),
            document: "onair-logs".to_owned(),
            directory: "/var/log/nginx".to_owned(),
        }),
    }
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_295_620 + seconds, 0).unwrap()
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

const ID: &str = "i-1234567890abcdef0";

fn wait(direction: Direction, seconds: i64) -> LifecycleWait {
    LifecycleWait {
        instance: id(ID),
        direction,
        began: at(seconds),
    }
}

fn sent(wait: &LifecycleWait, id: &str, requested: i64, status: CommandStatus) -> Command {
    Command {
        id: id.to_owned(),
        comment: wait.comment(),
        requested: at(requested),
        status,
    }
}

const GOOD: &str = "PLAY RECAP ***\nlocalhost : ok=1 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n";

fn failed() -> CommandStatus {
    CommandStatus::Failed {
        details: "Failed".to_owned(),
    }
}

fn step(status: CommandStatus, stdout: &str) -> StepResult {
    StepResult {
        status,
        stdout: stdout.to_owned(),
    }
}

#[test]
fn an_instance_waits_in_four_states_and_no_others() {
    for (name, state) in [
        ("Pending:Wait", Some(WaitState::Pending)),
        ("Warmed:Pending:Wait", Some(WaitState::WarmedPending)),
        ("Terminating:Wait", Some(WaitState::Terminating)),
        (
            "Warmed:Terminating:Wait",
            Some(WaitState::WarmedTerminating),
        ),
        ("Pending", None),
        ("Pending:Proceed", None),
        ("InService", None),
        ("Warmed:Stopped", None),
        ("Terminating:Proceed", None),
        ("Terminating:Retained", None),
        ("", None),
        ("pending:wait", None),
    ] {
        assert_eq!(WaitState::parse(name), state, "{name}");
    }
}

fn seen<'a>(
    state: WaitState,
    wait: Option<&'a LifecycleWait>,
    command: Option<&'a Command>,
    step: Option<&'a StepResult>,
) -> Observed<'a> {
    let history = History {
        launch_was_abandoned: false,
        may_have_served: false,
    };
    let commands = command.map(|first| WaitCommands {
        first,
        is_another_running: false,
    });
    Observed {
        state,
        reuses_on_scale_in: false,
        history,
        wait,
        commands,
        step,
    }
}

fn next_word(seen: &Observed<'_>) -> &'static str {
    match next(&fleet(), *seen).unwrap() {
        Next::Send(_) => "send",
        Next::Heartbeat => "heartbeat",
        Next::Verify(_) => "verify",
        Next::Complete(completion) => completion.result.as_str(),
        Next::Held(_) => "held",
    }
}

#[test]
fn the_next_step_follows_from_state_command_and_result() {
    use CommandStatus::{InProgress, Success};
    let (launch, terminate) = (wait(Direction::Launch, 0), wait(Direction::Terminate, 0));
    let receipt_line = format!("onair-manifest sha256={} files=1 bytes=3", "a".repeat(64));
    let decide = |state: WaitState,
                  wait: Option<&LifecycleWait>,
                  command: Option<CommandStatus>,
                  step: Option<StepResult>| {
        let command = command.map(|status| sent(wait.unwrap(), "1", 1, status));
        next_word(&seen(state, wait, command.as_ref(), step.as_ref()))
    };
    for state in [WaitState::Pending, WaitState::WarmedPending] {
        for (command, step, expected) in [
            (None, None, "send"),
            (Some(InProgress), None, "heartbeat"),
            (Some(Success), None, "heartbeat"),
            (Some(InProgress), Some(step(InProgress, "")), "heartbeat"),
            (Some(Success), Some(step(InProgress, GOOD)), "heartbeat"),
            // The step has finished, and another step of the document has not.
            (Some(InProgress), Some(step(Success, GOOD)), "heartbeat"),
            (Some(Success), Some(step(Success, GOOD)), "CONTINUE"),
            (Some(Success), Some(step(Success, "")), "ABANDON"),
            (Some(failed()), None, "ABANDON"),
            (Some(failed()), Some(step(Success, GOOD)), "ABANDON"),
            (Some(Success), Some(step(failed(), GOOD)), "ABANDON"),
            (Some(InProgress), Some(step(failed(), GOOD)), "ABANDON"),
        ] {
            assert_eq!(
                decide(state, Some(&launch), command.clone(), step.clone()),
                expected,
                "{command:?} {step:?}"
            );
        }
        assert_eq!(decide(state, None, None, None), "held");
    }
    for (command, step, expected) in [
        (None, None, "send"),
        (Some(InProgress), None, "heartbeat"),
        (Some(Success), Some(step(Success, &receipt_line)), "verify"),
        (Some(Success), Some(step(Success, GOOD)), "ABANDON"),
        (
            Some(failed()),
            Some(step(failed(), &receipt_line)),
            "ABANDON",
        ),
    ] {
        assert_eq!(
            decide(
                WaitState::Terminating,
                Some(&terminate),
                command.clone(),
                step.clone()
            ),
            expected,
            "{command:?}"
        );
    }
    assert_eq!(decide(WaitState::Terminating, None, None, None), "held");
    assert_eq!(
        decide(WaitState::WarmedTerminating, None, None, None),
        "CONTINUE"
    );
}

#[test]
fn a_direction_without_a_hook_is_not_handled() {
    let without_launch = FleetPolicy {
        launch: None,
        ..fleet()
    };
    let without_terminate = FleetPolicy {
        terminate: None,
        ..fleet()
    };
    for state in WaitState::ALL {
        let wait = wait(state.direction(), 0);
        let is_handled =
            |fleet: &FleetPolicy| next(fleet, seen(state, Some(&wait), None, None)).is_some();
        let is_launch = state.direction() == Direction::Launch;
        assert_eq!(
            (is_handled(&without_launch), is_handled(&without_terminate)),
            (!is_launch, is_launch)
        );
    }
}

#[test]
fn what_is_not_read_would_not_change_the_decision() {
    for fleet in [
        fleet(),
        FleetPolicy {
            launch: None,
            ..fleet()
        },
        FleetPolicy {
            terminate: None,
            ..fleet()
        },
    ] {
        for state in WaitState::ALL {
            let wait = wait(state.direction(), 0);
            let decide = |reuses_on_scale_in| {
                let observed = seen(state, Some(&wait), None, None);
                next(
                    &fleet,
                    Observed {
                        reuses_on_scale_in,
                        ..observed
                    },
                )
            };

            let decisions = [decide(false), decide(true)];

            for (reuses, decision) in [false, true].into_iter().zip(&decisions) {
                assert_eq!(
                    fleet.handles(state, reuses),
                    decision.is_some(),
                    "{state:?}"
                );
            }
            assert!(
                state.depends_on_reuse() || decisions[0] == decisions[1],
                "{state:?}: {decisions:?}"
            );
        }
    }
}

#[test]
fn only_commands_of_the_wait_count_and_of_several_the_oldest() {
    let now = wait(Direction::Launch, 0);
    let earlier = LifecycleWait {
        began: at(-60),
        ..now.clone()
    };
    let other = LifecycleWait {
        instance: id("i-00000000"),
        ..now.clone()
    };
    let back = LifecycleWait {
        direction: Direction::Terminate,
        ..now.clone()
    };
    let listed = [
        sent(&earlier, "earlier", -50, CommandStatus::Success),
        sent(&other, "other", 1, CommandStatus::Success),
        sent(&back, "back", 1, CommandStatus::Success),
        sent(&now, "second", 3, CommandStatus::Success),
        sent(&now, "first", 2, failed()),
    ];
    let own = |listed| {
        WaitCommands::of(&now, listed).map(|own| (own.first.id.as_str(), own.is_another_running))
    };
    assert_eq!(own(&listed), Some(("first", false)));
    assert_eq!(own(&listed[..3]), None);
    let running = listed.clone().map(|sent| Command {
        status: CommandStatus::InProgress,
        ..sent
    });
    assert_eq!(own(&running), Some(("first", true)));
    assert_eq!(own(&running[4..]), Some(("first", false)));
    for wait in [now, earlier, other, back] {
        assert!(wait.comment().len() <= 100, "{}", wait.comment());
    }
}

#[test]
fn in_a_group_that_reuses_instances_those_in_the_warm_pool_are_held() {
    for fleet in [
        fleet(),
        FleetPolicy {
            launch: None,
            ..fleet()
        },
        FleetPolicy {
            terminate: None,
            ..fleet()
        },
    ] {
        for state in [WaitState::WarmedPending, WaitState::WarmedTerminating] {
            for (wait, command) in [
                (None, None),
                (
                    Some(wait(state.direction(), 0)),
                    Some(CommandStatus::Success),
                ),
            ] {
                let command = command.map(|status| sent(wait.as_ref().unwrap(), "1", 1, status));
                let step = step(CommandStatus::Success, GOOD);
                let seen = seen(state, wait.as_ref(), command.as_ref(), Some(&step));
                let next = next(
                    &fleet,
                    Observed {
                        reuses_on_scale_in: true,
                        ..seen
                    },
                );
                assert!(matches!(next, Some(Next::Held(_))), "{state:?} {next:?}");
            }
        }
    }
}

#[test]
fn an_instance_does_not_serve_while_another_playbook_runs() {
    let wait = wait(Direction::Launch, 0);
    let (first, step) = (
        sent(&wait, "1", 1, CommandStatus::Success),
        step(CommandStatus::Success, GOOD),
    );
    let seen = seen(WaitState::Pending, Some(&wait), Some(&first), Some(&step));
    for (is_another_running, expected) in [(false, "CONTINUE"), (true, "heartbeat")] {
        assert_eq!(
            next_word(&Observed {
                commands: Some(WaitCommands {
                    first: &first,
                    is_another_running
                }),
                ..seen
            }),
            expected
        );
    }
}

fn activity(description: &str, seconds: i64, status: ActivityStatus) -> ScalingActivity {
    ScalingActivity {
        description: description.to_owned(),
        cause: String::new(),
        start_time: at(seconds),
        status,
    }
}

#[test]
fn a_wait_begins_with_the_newest_activity_in_progress_that_names_the_instance() {
    use ActivityStatus::{InProgress, Successful, Unsuccessful};
    let activities = [
        activity(
            "Launching a new EC2 instance: i-1234567890abcdef0",
            50,
            Successful,
        ),
        activity(
            "Terminating EC2 instance: i-1234567890abcdef0",
            20,
            InProgress,
        ),
        activity(
            "Launching a new EC2 instance: i-1234567890abcdef0",
            10,
            InProgress,
        ),
        activity(
            "Launching a new EC2 instance into warm pool: i-00000001",
            30,
            InProgress,
        ),
        activity(
            "Terminating EC2 instance: i-00000002 - WaitingForELBConnectionDraining",
            40,
            InProgress,
        ),
        activity(
            "Launching a new EC2 instance.  Status Reason: none",
            40,
            InProgress,
        ),
        activity("Terminating EC2 instance: i-00000003", 40, Unsuccessful),
        // The ID of the fourth instance is only a part of this one.
        activity("Terminating EC2 instance: i-000000041", 40, InProgress),
    ];
    let began =
        |text: &str| Some(LifecycleWait::of(&id(text), WaitState::Pending, &activities)?.began);
    for (text, seconds) in [
        ("i-00000001", Some(30)),
        ("i-00000002", Some(40)),
        (ID, Some(20)),
        ("i-00000003", None),
        ("i-00000004", None),
    ] {
        assert_eq!(began(text), seconds.map(at), "{text}");
    }
}

const LAUNCH: &str = "Launching a new EC2 instance: i-1234567890abcdef0";
const INTO_POOL: &str = "Launching a new EC2 instance into warm pool: i-1234567890abcdef0";
const FROM_POOL: &str = "Launching a new EC2 instance from warm pool: i-1234567890abcdef0";

#[test]
fn an_abandoned_launch_has_no_logs_unless_another_activity_succeeded() {
    use ActivityStatus::{InProgress, Successful, Unsuccessful};
    let abandoned = "Status Reason: Instance failed to complete user's Lifecycle Action: …";
    let launch = format!("{LAUNCH}.  {abandoned}");
    let launch = launch.as_str();
    let from_pool = format!("{FROM_POOL}.  {abandoned}");
    let attached = "Attaching an existing EC2 instance: i-1234567890abcdef0";
    let other = "Launching a new EC2 instance: i-00000001";
    let failure = "At 2021-02-20T11:02:35Z an instance was taken out of service in response to a launch failure.";
    let unhealthy = "At 2021-02-20T11:02:35Z an instance was taken out of service in response to an ELB system health check failure.";
    for (before, cause, expected) in [
        (vec![], "", "send"),
        (vec![(LAUNCH, Successful)], "", "send"),
        (vec![(launch, Unsuccessful)], "", "CONTINUE"),
        // The launch fails later or for another reason: the instance may have served before.
        (vec![(LAUNCH, InProgress)], failure, "CONTINUE"),
        (vec![(LAUNCH, InProgress)], unhealthy, "send"),
        (vec![(LAUNCH, Unsuccessful)], unhealthy, "send"),
        (
            vec![(INTO_POOL, Successful), (from_pool.as_str(), Unsuccessful)],
            "",
            "CONTINUE",
        ),
        (
            vec![(INTO_POOL, Successful), (FROM_POOL, InProgress)],
            failure,
            "CONTINUE",
        ),
        (
            vec![(INTO_POOL, Successful), (FROM_POOL, Successful)],
            "",
            "send",
        ),
        (
            vec![(FROM_POOL, Successful), (from_pool.as_str(), Unsuccessful)],
            failure,
            "send",
        ),
        (vec![(attached, Unsuccessful)], "", "send"),
        (
            vec![(attached, Successful), (launch, Unsuccessful)],
            failure,
            "send",
        ),
        (vec![(other, Unsuccessful)], "", "send"),
        (
            vec![(launch, Unsuccessful), (other, Successful)],
            "",
            "CONTINUE",
        ),
    ] {
        let terminating = activity(
            "Terminating EC2 instance: i-1234567890abcdef0",
            20,
            InProgress,
        );
        let mut activities = vec![ScalingActivity {
            cause: cause.to_owned(),
            ..terminating
        }];
        activities.extend(
            before
                .iter()
                .map(|(description, status)| activity(description, 10, *status)),
        );
        let wait = LifecycleWait::of(&id(ID), WaitState::Terminating, &activities).unwrap();
        assert_eq!(wait.began, at(20));
        let history = History::of(&id(ID), &activities);
        let seen = Observed {
            history,
            ..seen(WaitState::Terminating, Some(&wait), None, None)
        };
        assert_eq!(next_word(&seen), expected, "{before:?} {cause:?}");
        assert_eq!(
            next_word(&Observed {
                reuses_on_scale_in: true,
                ..seen
            }),
            "send",
            "{before:?} {cause:?}"
        );
    }
}

#[test]
fn an_instance_that_may_have_served_is_held_in_the_warm_pool() {
    use ActivityStatus::{InProgress, Successful};
    for (before, expected) in [
        (vec![], "CONTINUE"),
        (vec![(INTO_POOL, Successful)], "CONTINUE"),
        (
            vec![(INTO_POOL, Successful), (FROM_POOL, Successful)],
            "held",
        ),
        (vec![(LAUNCH, Successful)], "held"),
    ] {
        let mut activities = vec![activity(
            "Terminating EC2 instance: i-1234567890abcdef0",
            20,
            InProgress,
        )];
        activities.extend(
            before
                .iter()
                .map(|(description, status)| activity(description, 10, *status)),
        );
        let history = History::of(&id(ID), &activities);
        assert_eq!(
            next_word(&Observed {
                history,
                ..seen(WaitState::WarmedTerminating, None, None, None)
            }),
            expected,
            "{before:?}"
        );
    }
}

#[test]
fn a_command_request_has_all_parameters_of_its_document() {
    let order = CommandRequest::of(&fleet(), &wait(Direction::Terminate, 0)).unwrap();
    insta::assert_debug_snapshot!(order, @r#"
    CommandRequest {
        document: "onair-logs",
        parameters: [
            (
                "Bucket",
                "fleet-bucket",
            ),
            (
                "Prefix",
                "logs/i-1234567890abcdef0/20261121T211340Z",
            ),
            (
                "Directory",
                "/var/log/nginx",
            ),
        ],
        comment: "onair terminate i-1234567890abcdef0 20261121T211340Z",
    }
    "#);
}

#[test]
fn the_last_recap_counts_added_up_over_its_hosts() {
    let hosts = "PLAY RECAP *****\na : ok=1 changed=2 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n\
                 b : ok=10 changed=20 unreachable=1 failed=3 skipped=0 rescued=0 ignored=1\n\nafterwards\n";
    let recap = PlayRecap::parse(hosts).unwrap();
    let counts = [
        recap.hosts,
        recap.ok,
        recap.changed,
        recap.unreachable,
        recap.failed,
    ];
    assert_eq!(counts, [2, 11, 22, 1, 3]);
}

#[test]
fn an_incomplete_recap_is_missing() {
    assert!(PlayRecap::parse(GOOD).is_ok());
    // Wherever the output is cut off before the last count.
    let end = GOOD.find("ignored=0").unwrap() + "ignored=".len();
    let start = GOOD.find("localhost").unwrap() + 1;
    for at in start..=end {
        let cut = &GOOD[..at];
        assert_eq!(PlayRecap::parse(cut), Err(NoRecap::Missing), "{cut:?}");
    }
    for line in [
        "a : ok=1 ok=2 changed=0 unreachable=0 failed=0 ignored=0",
        "a : ok=-1 changed=0 unreachable=0 failed=0 ignored=0",
        "a : ok=1 changed=x unreachable=0 failed=0 ignored=0",
        "a: ok=1 changed=0 unreachable=0 failed=0 ignored=0",
    ] {
        let recap = PlayRecap::parse(&format!("PLAY RECAP ***\n{line}\n"));
        assert_eq!(recap, Err(NoRecap::Missing), "{line}");
    }
}

#[test]
fn names_have_only_safe_characters() {
    type Case = (
        fn(&str) -> bool,
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: [Case; 6] = [
        (
            is_bucket,
            &["abc", "a.b-c"],
            &["ab", "Abc", "a_b", "-ab", "ab-", "a/b", "a b", "ä-bucket"],
        ),
        (
            is_hook,
            &["onair-launch", "a/b_C"],
            &["", "a b", "a;b", "a\n"],
        ),
        (
            is_document,
            &["onair-logs", "AWS-X.1"],
            &["ab", "a:b", "a b", "arn:aws:ssm"],
        ),
        (
            is_directory,
            &["/var/log/nginx", "/a"],
            &[
                "/", "", "a", "/a/", "//a", "/a/../b", "/a b", "/$a", "/-a", "/.a",
            ],
        ),
        (
            is_playbook,
            &["web.yml", "a/b.yaml"],
            &[
                "",
                "web",
                "/web.yml",
                "../web.yml",
                "a//b.yml",
                "-e.yml",
                ".yml",
                "a b.yml",
                "web.yml\n",
            ],
        ),
        (
            is_variables,
            &["", "a=b", "a=b c=d/e,f@g%h+i=j-k", "A_1=x"],
            &[
                "a", "a=", "=b", "1=b", "a=b  c=d", " a=b", "a=b:c", "a=b;c", "a=$b", "a=`b`",
                "a=\"b\"", "a='b'", "a=b\\", "a=b|c", "a=(b)", "a=b&c", "a=b\nc=d", "a=b\tc=d",
                "a={b}",
            ],
        ),
    ];
    for (passes, good, bad) in cases {
        for text in good {
            assert!(passes(text), "{text:?}");
        }
        for text in bad {
            assert!(!passes(text), "{text:?}");
        }
    }
    for bad in [
        "",
        "i-",
        "i-1234567",
        "i-123456789",
        "i-1234567g",
        "I-12345678",
        "i-12345678 ",
        "mi-1234567890abcdef0",
    ] {
        assert_eq!(InstanceId::parse(bad), None, "{bad:?}");
    }
}

proptest! {
    /// An instance can write anything to its output and to S3.
    #[test]
    fn no_output_and_no_manifest_causes_a_panic(text in ".*", recap_like in "PLAY RECAP \\*\n.*", line in "onair-manifest .*") {
        let receipt_line = format!("onair-manifest sha256={} files=1 bytes=1", "0".repeat(64));
        let check = LogCheck {
            instance: id(ID),
            bucket: "fleet-bucket".to_owned(),
            prefix: "logs".to_owned(),
            receipt: Receipt::parse(&receipt_line).unwrap(),
        };
        for text in [&text, &recap_like, &line] {
            let _ = PlayRecap::parse(text);
            let found = Receipt::parse(text);
            let receipt = found.unwrap_or_else(|_| Receipt::parse(&receipt_line).unwrap());
            let check = LogCheck { receipt, ..check.clone() };
            prop_assert!(check.files(text).is_err());
        }
    }

    /// A name that passes has no character that is special to a shell.
    #[test]
    fn no_character_that_is_special_to_a_shell_passes(text in ".{0,40}") {
        let checks = [is_bucket, is_hook, is_document, is_directory, is_playbook, is_variables];
        if checks.iter().any(|passes| passes(&text)) || InstanceId::parse(&text).is_some() {
            let means_something = |c: char| "$`\"'\\;&|<>(){}*?~#!".contains(c) || c.is_control();
            prop_assert!(!text.contains(means_something));
        }
    }
}
