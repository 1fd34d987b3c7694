"""The resources of a deployment with a live bucket, for each way to use its parameters. test_stack.py tests that the jobs
are separate. Promises P90 and P91."""

import json
import re

import moto
import pytest
import stack

# AWS's own policies.
CACHING_OPTIMIZED_FOR_UNCOMPRESSED_OBJECTS = "b2884449-e4de-46a7-ac36-70bc7f1ddd6d"
CORS_S3_ORIGIN = "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf"


@pytest.fixture(scope="module", params=[stack.LIVE, stack.LIVE_KEPT], ids=["leftovers go", "everything stays"])
def on(request):
    """A stack with a live bucket: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def policy(client, outputs):
    """Sid -> statement of the bucket's policy, the bucket's ARN as $B."""
    document = client("s3").get_bucket_policy(Bucket=outputs["LiveBucketName"])["Policy"]
    text = document.replace(f"arn:aws:s3:::{outputs['LiveBucketName']}", "$B")
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}


def distribution():
    return stack.properties("LiveDistribution")["DistributionConfig"]


def behavior(path):
    """How CloudFront treats a path: by the first pattern that fits, or as all others."""
    for listed in distribution()["CacheBehaviors"]:
        pattern = ".*".join(re.escape(part) for part in listed["PathPattern"].split("*"))
        if re.fullmatch(pattern, path):
            return listed
    return distribution()["DefaultCacheBehavior"]


def test_everything_of_the_live_bucket_is_created(on):
    _, _, parameters = on
    assert stack.created() == {name for name in stack.translate(parameters)["Resources"] if name.startswith("Live")}


def test_the_bucket_is_private_encrypted_spoken_to_by_tls_and_stays(on):
    client, outputs, parameters = on
    bucket = outputs["LiveBucketName"]
    blocked = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    assert client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert stack.properties("LiveBucket")["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    deny = policy(client, outputs)["OnlyByTls"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Resource"] == ["$B", "$B/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    written = stack.translate(parameters)["Resources"]["LiveBucket"]
    assert (written["DeletionPolicy"], written["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_nobody_but_this_distribution_reads_the_bucket_and_nothing_but_the_streams_and_the_page(on):
    client, outputs, parameters = on
    arn = f"arn:aws:cloudfront::123456789012:distribution/{stack.physical_ids(client)['LiveDistribution']}"
    allowed = {sid: s for sid, s in policy(client, outputs).items() if s["Effect"] == "Allow"}
    for statement in allowed.values():
        assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceArn": arn}}
    assert {sid: (s["Action"], s["Resource"]) for sid, s in allowed.items()} == {
        "ReadThroughCloudFront": ("s3:GetObject", [f"$B/{parameters['LivePrefix']}/*", "$B/player/*"]),
        # A 404 for what is not there.
        "FindThroughCloudFront": ("s3:ListBucket", "$B"),
    }


def test_who_asks_for_the_root_gets_no_list_of_the_bucket(on):
    client, outputs, _ = on
    root = distribution()["DefaultRootObject"]
    # An object by that name could not be read either.
    readable = policy(client, outputs)["ReadThroughCloudFront"]["Resource"]
    assert root and not any(f"$B/{root}".startswith(resource.removesuffix("*")) for resource in readable)


def test_the_distribution_serves_the_bucket_by_tls_and_forgets_errors_after_a_second(on):
    _, outputs, _ = on
    (origin,) = distribution()["Origins"]
    assert origin["DomainName"] == f"{outputs['LiveBucketName']}.s3.{stack.REGION}.amazonaws.com"
    assert origin["OriginAccessControlId"] and origin["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    control = stack.properties("LiveOriginAccess")["OriginAccessControlConfig"]
    assert (control["SigningBehavior"], control["OriginAccessControlOriginType"]) == ("always", "s3")
    for each in [distribution()["DefaultCacheBehavior"], *distribution()["CacheBehaviors"]]:
        assert each["TargetOriginId"] == origin["Id"]
        assert each["ViewerProtocolPolicy"] == "redirect-to-https"
        assert each["AllowedMethods"] == ["GET", "HEAD", "OPTIONS"]
    assert distribution()["HttpVersion"] == "http2and3"
    errors = {response["ErrorCode"]: response["ErrorCachingMinTTL"] for response in distribution()["CustomErrorResponses"]}
    assert {403, 404, 500, 502, 503, 504} == set(errors) and set(errors.values()) == {1}


@pytest.mark.parametrize("path", ["live/index.m3u8", "live/show/720p/index.m3u8", "player/index.html"])
def test_a_playlist_is_kept_for_a_second_at_most_once_for_all_queries_and_compressed(on, path):
    client, _, _ = on
    assert behavior(path)["CachePolicyId"] == stack.physical_ids(client)["LiveCachePolicy"]
    assert behavior(path)["Compress"]
    config = stack.properties("LiveCachePolicy")["CachePolicyConfig"]
    assert (config["MinTTL"], config["DefaultTTL"], config["MaxTTL"]) == (0, 1, 1)
    key = config["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
    # Else CloudFront compresses nothing.
    assert key["EnableAcceptEncodingGzip"] and key["EnableAcceptEncodingBrotli"]


@pytest.mark.parametrize("path", ["live/12.mwql1xyw.ts", "live/show/720p/init.mwql1xyw.mp4", "live/a.m3u8.key"])
def test_everything_else_is_kept_as_long_as_it_says_once_for_all_players(on, path):
    assert behavior(path)["CachePolicyId"] == CACHING_OPTIMIZED_FOR_UNCOMPRESSED_OBJECTS
    assert not behavior(path)["Compress"]


def test_any_page_may_play(on):
    client, _, _ = on
    for each in [distribution()["DefaultCacheBehavior"], *distribution()["CacheBehaviors"]]:
        assert each["ResponseHeadersPolicyId"] == stack.physical_ids(client)["LiveResponseHeaders"]
        assert each["OriginRequestPolicyId"] == CORS_S3_ORIGIN
    cors = stack.properties("LiveResponseHeaders")["ResponseHeadersPolicyConfig"]["CorsConfig"]
    assert cors["AccessControlAllowOrigins"] == {"Items": ["*"]}
    assert cors["AccessControlAllowMethods"] == {"Items": ["GET", "HEAD", "OPTIONS"]}
    assert cors["AccessControlAllowHeaders"] == {"Items": ["*"]}
    assert cors["OriginOverride"] and not cors["AccessControlAllowCredentials"]
    # S3 answers a preflight request with its own headers.
    (rule,) = stack.properties("LiveBucket")["CorsConfiguration"]["CorsRules"]
    assert (rule["AllowedOrigins"], rule["AllowedMethods"], rule["AllowedHeaders"]) == (["*"], ["GET", "HEAD"], ["*"])


def test_segments_that_were_left_behind_expire_and_with_0_days_nothing_does(on):
    _, _, parameters = on
    uploads, *expiring = stack.properties("LiveBucket")["LifecycleConfiguration"]["Rules"]
    assert uploads["Status"] == "Enabled"
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "ExpirationInDays" not in uploads
    if parameters.get("LiveLeftoverDays") == "0":
        assert expiring == []
        return
    (rule,) = expiring
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 30)
    # Below the prefix, so never the player's page; and nothing small, which a running stream may still need.
    assert (rule["Prefix"], int(rule["ObjectSizeGreaterThan"])) == (f"{parameters['LivePrefix']}/", 64 * 1024)


def test_the_outputs_are_what_one_pastes(on):
    client, outputs, parameters = on
    prefix, viewers = parameters["LivePrefix"], "https://d111111abcdef8.cloudfront.net"
    assert outputs["LiveTarget"] == f"s3://{outputs['LiveBucketName']}/{prefix}"
    assert outputs["LivePlaybackUrl"] == f"{viewers}/{prefix}/"
    assert outputs["LivePlayerPageUrl"] == f"{viewers}/player/index.html?src=../{prefix}/index.m3u8"
    profile = client("iam").get_instance_profile(InstanceProfileName=outputs["LiveTranscoderProfileName"])
    (role,) = profile["InstanceProfile"]["Roles"]
    assert role["RoleName"] == stack.physical_ids(client)["LiveTranscoderRole"]
    attached = client("iam").list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [outputs["LivePublishPolicyArn"]]
