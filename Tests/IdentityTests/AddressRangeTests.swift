import Messages
import RPC
import Testing

@testable import Identity

/// From where a key is taken.
struct AddressRangeTests {
  @Test(
    "A range holds the addresses that share its leading bits, also IPv4 ones inside of IPv6",
    arguments: [
      ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
      ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("10.0.0.0/8", "::ffff:a01:203", true),
      ("10.0.0.0/8", "::ffff:11.1.2.3", false), ("192.168.1.128/25", "192.168.1.128", true),
      ("192.168.1.128/25", "192.168.1.127", false), ("0.0.0.0/0", "255.1.1.1", true),
      ("0.0.0.0/0", "2001:db8::1", false), ("127.0.0.1", "127.0.0.1", true),
      ("127.0.0.1/32", "127.0.0.2", false), ("2001:db8::/32", "2001:db8:ffff::1", true),
      ("2001:db8::/32", "2001:db9::1", false), ("2001:db8::/33", "2001:db8:8000::1", false),
      ("::1", "::1", true), ("::1", "::2", false), ("::/0", "2001:db8::1", true),
      ("::ffff:10.0.0.0/104", "10.9.9.9", true), ("::ffff:10.0.0.0/104", "11.9.9.9", false),
      ("fe80::/10", "fe80::1%eth0", true), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", true),
      ("10.0.0.0/8", "", false), ("10.0.0.0/8", "localhost", false),
    ])
  func contains(range: String, host: String, isIn: Bool) throws {
    #expect(try #require(AddressRange(range)).contains(host) == isIn)
  }

  @Test(
    "What is no range, or has bits beyond its length, is refused",
    arguments: [
      "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.1/8", "10.0.0/8",
      "10.0.0.0.0/8", "256.0.0.0/8", "010.0.0.0/8", "10.0.0.0/8/8", " 10.0.0.0/8", "10.0.0.0/8 ",
      "a.b.c.d", "2001:db8::1/32", "2001:db8::/129", "2001::db8::", ":::", "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9", "12345::", "g::", "1.2.3.4::", "::1.2.3", "fe80::1%eth0/128", "+1::",
      "localhost", "10.0.0.0\u{0}/8",
    ])
  func refuses(text: String) {
    #expect(AddressRange(text) == nil)
  }

  @Test(
    "The audit log has a time as RFC 3339",
    arguments: [
      (0, "1970-01-01T00:00:00Z"), (951_782_400_000_000, "2000-02-29T00:00:00Z"),
      (1_795_278_473_999_999, "2026-11-21T16:27:53Z"), (-1, "1969-12-31T23:59:59Z"),
      (Timestamp.microsecondsRange.upperBound, "9999-12-31T23:59:59Z"),
      (Timestamp.microsecondsRange.lowerBound, "0001-01-01T00:00:00Z"),
    ] as [(Int64, String)])
  func time(microseconds: Int64, text: String) {
    #expect(timeText(microseconds) == text)
  }
}

/// What one key may hand on to another.
struct ScopeTests {
  private static let access = Access(known: ["run.get", "run.log", "api_key.create"])

  @Test(
    "A scope names something that there is",
    arguments: [
      ("*", true), ("run.*", true), ("run.get", true), ("api_key.*", true), ("run.fly", false),
      ("runs.*", false), ("ru.*", false), (".*", false), ("", false), ("run", false),
      ("*.get", false), ("run.get.*", false), ("RUN.*", false), ("**", false),
    ])
  func known(scope: String, isKnown: Bool) {
    #expect(Self.access.knows(scope: scope) == isKnown)
  }

  @Test(
    "A key hands on what it permits itself, and nothing beyond",
    arguments: [
      (["*"], ["*"], nil), (["run.*", "run.get"], ["*"], nil), (["run.get"], ["run.*"], nil),
      (["run.*"], ["run.*"], nil), (["*"], ["run.*", "experiment.*"], "*"),
      (["run.get", "run.*"], ["run.get", "run.log"], "run.*"), (["run.get"], [], "run.get"),
      (["experiment.get"], ["run.*"], "experiment.get"), ([], [], nil),
    ] as [([String], [String], String?)])
  func excess(scopes: [String], own: [String], expected: String?) {
    #expect(Access.excess(of: scopes, beyond: own) == expected)
  }
}
