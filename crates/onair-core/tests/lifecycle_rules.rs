//! `complete-lifecycle`: the rules as tables.

use chrono::{DateTime, Utc};
use onair_core::complete_lifecycle::{
    Activity, Direction, Fleet, InstanceId, Launch, Next, Order, Own, Past, Rule, Run, Seen, Sent,
    Standing, State, Step, Terminate, Verdict, Wait, check, is_bucket, is_directory, is_document,
    is_hook, is_playbook, is_variables, next, recap, receipt,
};
use proptest::prelude::*;

pub(crate) fn fleet() -> Fleet {
    Fleet {
        group: "web".to_owned(),
        launch: Some(Launch {
            hook: "onair-launch".to_owned(),
            bucket: "fleet-bucket".to_owned(),
            region: "us-west-2".to_owned(),
            playbook: "web.yml".to_owned(),
            check_mode: false,
            rule: Rule::NothingFailed,
            timeout_seconds: 1800,
            extra_variables: String::new(),
        }),
        terminate: Some(Terminate {
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

fn run(direction: Direction, seconds: i64) -> Run {
    Run {
        instance: id(ID),
        direction,
        began: at(seconds),
    }
}

fn sent(run: &Run, id: &str, requested: i64, state: State) -> Sent {
    Sent {
        id: id.to_owned(),
        comment: run.comment(),
        requested: at(requested),
        state,
    }
}

const GOOD: &str = "PLAY RECAP ***\nlocalhost : ok=1 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n";

fn failed() -> State {
    State::Failed {
        details: "Failed".to_owned(),
    }
}

fn step(state: State, stdout: &str) -> Step {
    Step {
        state,
        stdout: stdout.to_owned(),
    }
}

#[test]
fn the_states_that_wait_are_four_and_no_others() {
    for (state, wait) in [
        ("Pending:Wait", Some(Wait::Launch)),
        ("Warmed:Pending:Wait", Some(Wait::Warm)),
        ("Terminating:Wait", Some(Wait::Terminate)),
        ("Warmed:Terminating:Wait", Some(Wait::Retire)),
        ("Pending", None),
        ("Pending:Proceed", None),
        ("InService", None),
        ("Warmed:Stopped", None),
        ("Terminating:Proceed", None),
        ("Terminating:Retained", None),
        ("", None),
        ("pending:wait", None),
    ] {
        assert_eq!(Wait::of(state), wait, "{state}");
    }
}

fn seen<'a>(
    wait: Wait,
    run: Option<&'a Run>,
    command: Option<&'a Sent>,
    step: Option<&'a Step>,
) -> Seen<'a> {
    let past = Past {
        is_refused: false,
        may_have_served: false,
    };
    let commands = command.map(|first| Own {
        first,
        others_run: false,
    });
    Seen {
        wait,
        returns: false,
        past,
        run,
        commands,
        step,
    }
}

fn word(seen: &Seen<'_>) -> &'static str {
    match next(&fleet(), *seen).unwrap() {
        Next::Send(_) => "send",
        Next::Heartbeat => "heartbeat",
        Next::Verify(_) => "verify",
        Next::Complete(Verdict { goes_on: true, .. }) => "CONTINUE",
        Next::Complete(Verdict { goes_on: false, .. }) => "ABANDON",
        Next::Held(_) => "held",
    }
}

#[test]
fn what_comes_next_follows_from_wait_command_and_result() {
    use State::{Running, Success};
    let (launch, terminate) = (run(Direction::Launch, 0), run(Direction::Terminate, 0));
    let receipt_line = format!("onair-manifest sha256={} files=1 bytes=3", "a".repeat(64));
    let comes = |wait: Wait, run: Option<&Run>, command: Option<State>, step: Option<Step>| {
        let command = command.map(|state| sent(run.unwrap(), "1", 1, state));
        word(&seen(wait, run, command.as_ref(), step.as_ref()))
    };
    for wait in [Wait::Launch, Wait::Warm] {
        for (command, step, expected) in [
            (None, None, "send"),
            (Some(Running), None, "heartbeat"),
            (Some(Success), None, "heartbeat"),
            (Some(Running), Some(step(Running, "")), "heartbeat"),
            (Some(Success), Some(step(Running, GOOD)), "heartbeat"),
            // The document has another step than the one that is asked for.
            (Some(Running), Some(step(Success, GOOD)), "heartbeat"),
            (Some(Success), Some(step(Success, GOOD)), "CONTINUE"),
            (Some(Success), Some(step(Success, "")), "ABANDON"),
            (Some(failed()), None, "ABANDON"),
            (Some(failed()), Some(step(Success, GOOD)), "ABANDON"),
            (Some(Success), Some(step(failed(), GOOD)), "ABANDON"),
            (Some(Running), Some(step(failed(), GOOD)), "ABANDON"),
        ] {
            assert_eq!(
                comes(wait, Some(&launch), command.clone(), step.clone()),
                expected,
                "{command:?} {step:?}"
            );
        }
        assert_eq!(comes(wait, None, None, None), "held");
    }
    for (command, step, expected) in [
        (None, None, "send"),
        (Some(Running), None, "heartbeat"),
        (Some(Success), Some(step(Success, &receipt_line)), "verify"),
        (Some(Success), Some(step(Success, GOOD)), "ABANDON"),
        (
            Some(failed()),
            Some(step(failed(), &receipt_line)),
            "ABANDON",
        ),
    ] {
        assert_eq!(
            comes(
                Wait::Terminate,
                Some(&terminate),
                command.clone(),
                step.clone()
            ),
            expected,
            "{command:?}"
        );
    }
    assert_eq!(comes(Wait::Terminate, None, None, None), "held");
    assert_eq!(comes(Wait::Retire, None, None, None), "CONTINUE");
}

#[test]
fn a_direction_without_a_hook_is_not_ours() {
    let without_launch = Fleet {
        launch: None,
        ..fleet()
    };
    let without_terminate = Fleet {
        terminate: None,
        ..fleet()
    };
    for wait in Wait::ALL {
        let run = run(wait.direction(), 0);
        let ours = |fleet: &Fleet| next(fleet, seen(wait, Some(&run), None, None)).is_some();
        let is_launch = wait.direction() == Direction::Launch;
        assert_eq!(
            (ours(&without_launch), ours(&without_terminate)),
            (!is_launch, is_launch)
        );
    }
}

#[test]
fn only_the_runs_own_command_counts_and_of_several_the_oldest() {
    let now = run(Direction::Launch, 0);
    let earlier = Run {
        began: at(-60),
        ..now.clone()
    };
    let other = Run {
        instance: id("i-00000000"),
        ..now.clone()
    };
    let back = Run {
        direction: Direction::Terminate,
        ..now.clone()
    };
    let listed = [
        sent(&earlier, "earlier", -50, State::Success),
        sent(&other, "other", 1, State::Success),
        sent(&back, "back", 1, State::Success),
        sent(&now, "second", 3, State::Success),
        sent(&now, "first", 2, failed()),
    ];
    let own = |listed| Own::of(&now, listed).map(|own| (own.first.id.as_str(), own.others_run));
    assert_eq!(own(&listed), Some(("first", false)));
    assert_eq!(own(&listed[..3]), None);
    let running = listed.clone().map(|sent| Sent {
        state: State::Running,
        ..sent
    });
    assert_eq!(own(&running), Some(("first", true)));
    assert_eq!(own(&running[4..]), Some(("first", false)));
    for run in [now, earlier, other, back] {
        assert!(run.comment().len() <= 100, "{}", run.comment());
    }
}

#[test]
fn where_instances_return_to_the_warm_pool_nothing_is_done_on_its_ways() {
    for fleet in [
        fleet(),
        Fleet {
            launch: None,
            ..fleet()
        },
        Fleet {
            terminate: None,
            ..fleet()
        },
    ] {
        for wait in [Wait::Warm, Wait::Retire] {
            for (run, command) in [
                (None, None),
                (Some(run(wait.direction(), 0)), Some(State::Success)),
            ] {
                let command = command.map(|state| sent(run.as_ref().unwrap(), "1", 1, state));
                let step = step(State::Success, GOOD);
                let seen = seen(wait, run.as_ref(), command.as_ref(), Some(&step));
                let next = next(
                    &fleet,
                    Seen {
                        returns: true,
                        ..seen
                    },
                );
                assert!(matches!(next, Some(Next::Held(_))), "{wait:?} {next:?}");
            }
        }
    }
}

#[test]
fn an_instance_does_not_serve_while_another_playbook_works_on_it() {
    let run = run(Direction::Launch, 0);
    let (first, step) = (
        sent(&run, "1", 1, State::Success),
        step(State::Success, GOOD),
    );
    let seen = seen(Wait::Launch, Some(&run), Some(&first), Some(&step));
    for (others_run, expected) in [(false, "CONTINUE"), (true, "heartbeat")] {
        assert_eq!(
            word(&Seen {
                commands: Some(Own {
                    first: &first,
                    others_run
                }),
                ..seen
            }),
            expected
        );
    }
}

fn activity(description: &str, seconds: i64, stands: Standing) -> Activity {
    Activity {
        description: description.to_owned(),
        cause: String::new(),
        started: at(seconds),
        stands,
    }
}

#[test]
fn a_wait_begins_with_the_newest_open_activity_that_names_the_instance() {
    use Standing::{Done, GivenUp, Open};
    let activities = [
        activity(
            "Launching a new EC2 instance: i-1234567890abcdef0",
            50,
            Done,
        ),
        activity("Terminating EC2 instance: i-1234567890abcdef0", 20, Open),
        activity(
            "Launching a new EC2 instance: i-1234567890abcdef0",
            10,
            Open,
        ),
        activity(
            "Launching a new EC2 instance into warm pool: i-00000001",
            30,
            Open,
        ),
        activity(
            "Terminating EC2 instance: i-00000002 - WaitingForELBConnectionDraining",
            40,
            Open,
        ),
        activity(
            "Launching a new EC2 instance.  Status Reason: none",
            40,
            Open,
        ),
        activity("Terminating EC2 instance: i-00000003", 40, GivenUp),
        // A part of an id is none.
        activity("Terminating EC2 instance: i-000000041", 40, Open),
    ];
    let began = |text: &str| Some(Run::of(&id(text), Wait::Launch, &activities)?.began);
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
fn an_instance_whose_launch_was_given_up_has_no_logs_unless_anything_else_of_it_succeeded() {
    use Standing::{Done, GivenUp, Open};
    let refused = "Status Reason: Instance failed to complete user's Lifecycle Action: …";
    let launch = format!("{LAUNCH}.  {refused}");
    let launch = launch.as_str();
    let from_pool = format!("{FROM_POOL}.  {refused}");
    let attached = "Attaching an existing EC2 instance: i-1234567890abcdef0";
    let other = "Launching a new EC2 instance: i-00000001";
    let failure = "At 2021-02-20T11:02:35Z an instance was taken out of service in response to a launch failure.";
    let unhealthy = "At 2021-02-20T11:02:35Z an instance was taken out of service in response to an ELB system health check failure.";
    for (before, cause, expected) in [
        (vec![], "", "send"),
        (vec![(LAUNCH, Done)], "", "send"),
        (vec![(launch, GivenUp)], "", "CONTINUE"),
        // The launch is given up later, or for another reason: it may have served by then.
        (vec![(LAUNCH, Open)], failure, "CONTINUE"),
        (vec![(LAUNCH, Open)], unhealthy, "send"),
        (vec![(LAUNCH, GivenUp)], unhealthy, "send"),
        (
            vec![(INTO_POOL, Done), (from_pool.as_str(), GivenUp)],
            "",
            "CONTINUE",
        ),
        (
            vec![(INTO_POOL, Done), (FROM_POOL, Open)],
            failure,
            "CONTINUE",
        ),
        (vec![(INTO_POOL, Done), (FROM_POOL, Done)], "", "send"),
        (
            vec![(FROM_POOL, Done), (from_pool.as_str(), GivenUp)],
            failure,
            "send",
        ),
        (vec![(attached, GivenUp)], "", "send"),
        (vec![(attached, Done), (launch, GivenUp)], failure, "send"),
        (vec![(other, GivenUp)], "", "send"),
        (vec![(launch, GivenUp), (other, Done)], "", "CONTINUE"),
    ] {
        let terminating = activity("Terminating EC2 instance: i-1234567890abcdef0", 20, Open);
        let mut activities = vec![Activity {
            cause: cause.to_owned(),
            ..terminating
        }];
        activities.extend(
            before
                .iter()
                .map(|(description, stands)| activity(description, 10, *stands)),
        );
        let run = Run::of(&id(ID), Wait::Terminate, &activities).unwrap();
        assert_eq!(run.began, at(20));
        let past = Past::of(&id(ID), &activities);
        let seen = Seen {
            past,
            ..seen(Wait::Terminate, Some(&run), None, None)
        };
        assert_eq!(word(&seen), expected, "{before:?} {cause:?}");
        assert_eq!(
            word(&Seen {
                returns: true,
                ..seen
            }),
            "send",
            "{before:?} {cause:?}"
        );
    }
}

#[test]
fn what_may_have_served_leaves_the_warm_pool_only_by_a_persons_hand() {
    use Standing::{Done, Open};
    for (before, expected) in [
        (vec![], "CONTINUE"),
        (vec![(INTO_POOL, Done)], "CONTINUE"),
        (vec![(INTO_POOL, Done), (FROM_POOL, Done)], "held"),
        (vec![(LAUNCH, Done)], "held"),
    ] {
        let mut activities = vec![activity(
            "Terminating EC2 instance: i-1234567890abcdef0",
            20,
            Open,
        )];
        activities.extend(
            before
                .iter()
                .map(|(description, stands)| activity(description, 10, *stands)),
        );
        let past = Past::of(&id(ID), &activities);
        assert_eq!(
            word(&Seen {
                past,
                ..seen(Wait::Retire, None, None, None)
            }),
            expected,
            "{before:?}"
        );
    }
}

#[test]
fn an_order_says_all_that_its_document_needs() {
    let order = Order::of(&fleet(), &run(Direction::Terminate, 0)).unwrap();
    insta::assert_debug_snapshot!(order, @r#"
    Order {
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
fn a_recap_is_the_sum_over_hosts_of_the_last_one() {
    let hosts = "PLAY RECAP *****\na : ok=1 changed=2 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n\
                 b : ok=10 changed=20 unreachable=1 failed=3 skipped=0 rescued=0 ignored=1\n\nafterwards\n";
    let recap = recap(hosts).unwrap();
    let figures = [
        recap.hosts,
        recap.ok,
        recap.changed,
        recap.unreachable,
        recap.failed,
    ];
    assert_eq!(figures, [2, 11, 22, 1, 3]);
}

#[test]
fn a_recap_that_is_not_whole_is_none() {
    assert!(recap(GOOD).is_some());
    // Wherever it is cut off before the last figure is there.
    let end = GOOD.find("ignored=0").unwrap() + "ignored=".len();
    let start = GOOD.find("localhost").unwrap() + 1;
    for at in start..=end {
        assert_eq!(recap(&GOOD[..at]), None, "{:?}", &GOOD[..at]);
    }
    for line in [
        "a : ok=1 ok=2 changed=0 unreachable=0 failed=0 ignored=0",
        "a : ok=-1 changed=0 unreachable=0 failed=0 ignored=0",
        "a : ok=1 changed=x unreachable=0 failed=0 ignored=0",
        "a: ok=1 changed=0 unreachable=0 failed=0 ignored=0",
    ] {
        assert_eq!(recap(&format!("PLAY RECAP ***\n{line}\n")), None, "{line}");
    }
}

#[test]
fn what_reaches_a_command_line_is_plain() {
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
    /// An instance may write anything.
    #[test]
    fn no_output_and_no_manifest_makes_anything_panic(text in ".*", recap_like in "PLAY RECAP \\*\n.*", line in "onair-manifest .*") {
        for text in [&text, &recap_like, &line] {
            let _ = recap(text);
            let found = receipt(text);
            let receipt = found.unwrap_or_else(|_| receipt(&format!("onair-manifest sha256={} files=1 bytes=1", "0".repeat(64))).unwrap());
            prop_assert!(check(text, &receipt, &id(ID)).is_err());
        }
    }

    /// What passes has none of what a shell takes for more than a letter.
    #[test]
    fn nothing_that_means_something_to_a_shell_passes(text in ".{0,40}") {
        let checks = [is_bucket, is_hook, is_document, is_directory, is_playbook, is_variables];
        if checks.iter().any(|passes| passes(&text)) || InstanceId::parse(&text).is_some() {
            let means_something = |c: char| "$`\"'\\;&|<>(){}*?~#!".contains(c) || c.is_control();
            prop_assert!(!text.contains(means_something));
        }
    }
}
