import TLS
import Testing

@testable import Artifacts

@Suite("What is said to S3")
struct S3Tests {
  private static let signature = S3Signature(
    credentials: S3Credentials(
      accessKey: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    region: "us-east-1", time: "20130524T000000Z")
  private static let host = ("host", "examplebucket.s3.amazonaws.com")

  private func signed(_ lines: [(name: String, value: String)]) -> Substring? {
    lines.first { $0.name == "authorization" }?.value.split(separator: "Signature=").last
  }

  @Test("Requests are signed as Amazon's own examples are")
  func signs() {
    let nothing = Digest.sha256([])
    #expect(
      signed(
        Self.signature.headers(
          "GET", path: "/test.txt", query: [], headers: [Self.host, ("range", "bytes=0-9")],
          digest: nothing)) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    #expect(
      signed(
        Self.signature.headers(
          "PUT", path: "/" + URIText.escaped("test$file.text", isPath: true), query: [],
          headers: [
            Self.host, ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
          ], digest: Digest.sha256(Array("Welcome to Amazon S3.".utf8))))
        == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    #expect(
      signed(
        Self.signature.headers(
          "GET", path: "/", query: [("lifecycle", "")], headers: [Self.host], digest: nothing))
        == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    #expect(
      signed(
        Self.signature.headers(
          "GET", path: "/", query: [("prefix", "J"), ("max-keys", "2")], headers: [Self.host],
          digest: nothing)) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
  }

  @Test("A key that lasts for a while is signed with its token")
  func signsTokens() {
    var credentials = Self.signature.credentials
    credentials.sessionToken = "token"
    let signature = S3Signature(
      credentials: credentials, region: "us-east-1", time: "20130524T000000Z")
    let lines = signature.headers(
      "GET", path: "/", query: [], headers: [Self.host], digest: Digest.sha256([]))
    #expect(lines.contains { $0.name == "x-amz-security-token" && $0.value == "token" })
    #expect(lines.last?.value.contains("x-amz-date;x-amz-security-token,") == true)
  }

  @Test(
    "Times are written and read as S3 has them",
    arguments: [
      (0, "19700101T000000Z", "1970-01-01T00:00:00.000Z"),
      (951_782_399, "20000228T235959Z", "2000-02-28T23:59:59Z"),
      (951_782_400, "20000229T000000Z", "2000-02-29T00:00:00.5Z"),
      (1_369_353_600, "20130524T000000Z", "2013-05-24T00:00:00.000Z"),
      (4_107_542_399, "21000228T235959Z", "2100-02-28T23:59:59.000Z"),
      (4_107_542_400, "21000301T000000Z", "2100-03-01T00:00:00.000Z"),
    ] as [(Int64, String, Substring)])
  func tellsTime(seconds: Int64, basic: String, extended: Substring) {
    #expect(S3Time.basic(seconds) == basic)
    #expect(S3Time.read(extended) == seconds)
  }

  @Test(
    "A marker says whose the store is, and what is no id is nobody's",
    arguments: [
      ("7461-16384\n", "7461-16384"), ("7461-16384", "7461-16384"), ("", "?"), ("\n", "?"),
      ("a b\n\nc", "a?b??c"), ("é", "??"),
      (String(repeating: "7", count: 200), String(repeating: "7", count: 128)),
    ])
  func readsMarkers(content: String, owner: String) {
    #expect(OwnerMarker.owner(Array(content.utf8)) == owner)
  }

  @Test("What is written into a marker is read from it")
  func writesMarkers() {
    let owner = "7461309187218739105-16384"
    #expect(OwnerMarker.content(owner) == Array("\(owner)\n".utf8))
    #expect(OwnerMarker.owner(OwnerMarker.content(owner)) == owner)
  }

  @Test("What is no time is none", arguments: ["", "now", "2013-05-24", "2013-05-24T00:00:00"])
  func refusesTimes(text: String) {
    #expect(S3Time.read(Substring(text)) == nil)
  }

  @Test("Base 64 is padded", arguments: [("", ""), ("f", "Zg=="), ("no", "bm8="), ("foo", "Zm9v")])
  func encodes(text: String, encoded: String) {
    #expect(Base64.text(Array(text.utf8)) == encoded)
  }

  @Test(
    "An endpoint is a scheme, a host and perhaps a port",
    arguments: [
      ("https://s3.amazonaws.com", "s3.amazonaws.com"), ("https://S3.Example:443/", "s3.example"),
      ("http://localhost:80", "localhost"), ("http://127.0.0.1:9000", "127.0.0.1:9000"),
      ("http://[::1]:9000", "[::1]:9000"), ("https://[::1]", "[::1]"),
    ])
  func readsEndpoints(text: String, authority: String) {
    #expect(Endpoint(text)?.authority == authority)
  }

  @Test(
    "What is no endpoint is refused",
    arguments: [
      "", "s3.amazonaws.com", "ftp://s3", "https://", "https:///", "https://s3/bucket",
      "https://user:word@s3", "https://s3:0", "https://s3:65536", "https://s3:", "https://s 3",
      "https://s3?x", "https://s3#x", "https://[::1", "https://s3\r\nx: y",
    ])
  func refusesEndpoints(text: String) {
    #expect(Endpoint(text) == nil)
  }

  @Test("The names of buckets, regions and prefixes are bounded")
  func checksNames() {
    #expect(S3Settings.isBucket("my-bucket.1"))
    for text in ["", "ab", "Bucket", "-a1", "a/b", String(repeating: "a", count: 64)] {
      #expect(!S3Settings.isBucket(text))
    }
    for text in ["", "a/", "a/b/", "A.b_c~1/"] { #expect(S3Settings.isPrefix(text)) }
    for text in ["a", "/", "/a/", "a//", "../", "a/./", "a b/", "é/", "a&/"] {
      #expect(!S3Settings.isPrefix(text))
    }
    #expect(S3Settings.isRegion("eu-central-1"))
    for text in ["", "EU", "a/b", "a,b"] { #expect(!S3Settings.isRegion(text)) }
  }

  @Test("Keys are those of the profile default, or of none")
  func readsKeys() throws {
    let text = """
      [other]
      aws_access_key_id = wrong
      [default]
      # not = this
      aws_access_key_id = id
      aws_secret_access_key=se=cret
      aws_session_token =
      """
    #expect(
      try S3CredentialsSource.parse(text, "file")
        == S3Credentials(accessKey: "id", secret: "se=cret"))
    for text in [
      "", "[other]\naws_access_key_id=a\naws_secret_access_key=b",
      "aws_access_key_id=a", "aws_access_key_id=a b\naws_secret_access_key=c",
    ] {
      #expect(throws: ArtifactStoreError.self) { try S3CredentialsSource.parse(text, "file") }
    }
  }

  @Test("A listing is read, and what is none is refused")
  func readsListings() throws {
    let text = """
      <?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>
      <NextContinuationToken>t+/=</NextContinuationToken>
      <Contents><Key>a/b</Key><LastModified>1970-01-01T00:00:07.000Z</LastModified>
      <Size>5</Size></Contents><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>
      </ListBucketResult>
      """
    let listing = try S3Listing(Array(text.utf8))
    #expect(listing.objects == [S3Object(key: "a/b", sizeBytes: 5, changedAt: 7)])
    #expect(listing.prefixes == ["a/"])
    #expect(listing.token == "t+/=")
    for text in ["", "<html>", "<Name>b</Name><Contents><Key>a</Key></Contents>"] {
      #expect(throws: ArtifactStoreError.self) { try S3Listing(Array(text.utf8)) }
    }
  }

  @Test(
    "What S3 answers comes to an error that says who can do something about it",
    arguments: [
      (404, "NoSuchKey", ArtifactStoreError.missing), (404, "", .missing),
      (404, "NoSuchBucket", .denied("NoSuchBucket")),
      (403, "SignatureDoesNotMatch", .denied("SignatureDoesNotMatch")),
      (301, "PermanentRedirect", .denied("PermanentRedirect")),
      (503, "SlowDown", .busy), (500, "InternalError", .away("InternalError")),
      (507, "", .full), (403, "QuotaExceeded", .full), (400, "BadDigest", .failed("S3: BadDigest")),
    ])
  func tellsErrors(status: Int, code: String, error: ArtifactStoreError) {
    let body = code.isEmpty ? "" : "<Error><Code>\(code)</Code><Message>m</Message></Error>"
    let answer = S3Answer(
      status: status, body: Array(body.utf8), contentLength: 0, etag: "")
    #expect(S3Failure(answer).error == error)
  }
}
