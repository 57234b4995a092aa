import Foundation
import Postgres
import Testing

@testable import ControlPlane

/// Every setting, by the table of all of them.
struct SettingTests {
  private static func options() -> ServerOptions {
    ServerOptions(
      database: DatabaseSettings(connection: ""), certificateFile: "", keyFile: "")
  }

  /// Texts that a setting takes, none of which is a default, and texts that it refuses.
  private static func texts(of setting: Setting) -> (good: [String], bad: [String]) {
    let nonsense = ["", " ", "x", "é", "\u{0}", "default", "on off"]
    let numbers = ["-1", "1.5", " 1", "1 ", "1e3", "0x10", "1_000", "99999999999999999999"]
    if setting.help.hasSuffix("; a whole number from 1") {
      return (["1", "7", "123456789"], nonsense + numbers + ["0", "on", "1s"])
    }
    if setting.help.hasSuffix("; a whole number from 0") {
      return (["1", "64", "0"], nonsense + numbers + ["on", "1s"])
    }
    if setting.help.hasSuffix("; on or off") {
      return (["on", "off", "on"], nonsense + ["1", "0", "true", "ON", "on "])
    }
    if setting.help.hasSuffix("; like 250ms, 10s or 5m") {
      return (
        ["1ms", "12345ms", "777s", "999999999ms"],
        nonsense + numbers + ["0ms", "0s", "-1s", "1.5s", "1 s", "10", "s", "1d", "1000000000s"]
      )
    }
    switch setting.name {
    case "purge-batch-rows", "scorer-versions-max":
      return (["1", "7", "100000"], nonsense + numbers + ["0", "100001", "on", "1s"])
    case "compaction-batch-chunks", "trace-tags-max", "trace-metadata-max", "trace-assessments-max":
      return (["1", "7", "10000"], nonsense + numbers + ["0", "10001", "on", "1s"])
    case "trace-spans-max", "evaluation-records-max":
      return (["1", "7", "1000000"], nonsense + numbers + ["0", "1000001"])
    case "traces-kept-for": return (["777s", "1ms", "none"], nonsense + ["0s", "None", "30d"])
    case "log-level":
      return (["debug", "info", "notice", "warning", "error"], nonsense + ["INFO", "trace"])
    case "audit-file":
      return (["/var/log/audit.jsonl", "none"], nonsense + ["audit.jsonl", "./audit", "None"])
    case "artifact-folder":
      return (["/var/lib/artifacts", "none"], nonsense + ["artifacts", "./artifacts", "None"])
    case "artifact-chunk-bytes":
      return (["262144", "300000", "2097152"], nonsense + numbers + ["0", "262143", "2097153"])
    case "artifact-store": return (["local", "s3"], nonsense + ["S3", "none"])
    case "artifact-adopt": return (["7-1", "unmarked"], ["", " ", "é", "\u{0}", "7 8"])
    case "artifact-s3-endpoint":
      return (["https://s3.example", "none"], nonsense + ["s3.example", "https://s3/bucket"])
    case "artifact-s3-bucket":
      return (["a-bucket", "none"], nonsense.filter { $0 != "default" } + ["A-Bucket", "a/b"])
    case "artifact-s3-region":
      return (["eu-central-1", "x"], ["", " ", "é", "\u{0}", "on off", "EU"])
    case "artifact-s3-prefix": return (["a/", "a/b/"], [" ", "x", "é", "\u{0}", "/", "../", "a"])
    case "artifact-s3-style": return (["path", "host"], nonsense + ["Host"])
    case "artifact-s3-credentials-file", "artifact-s3-ca-file":
      return (["/etc/keys", "none"], nonsense + ["keys", "./keys", "None"])
    case "artifact-s3-requests-max": return (["1", "256"], nonsense + numbers + ["0", "257"])
    case "artifact-s3-segment-bytes":
      return (["5242880", "268435456"], nonsense + numbers + ["0", "5242879", "268435457"])
    case "organization-creation":
      return (["everybody", "platform-admins"], nonsense + ["nobody", "Everybody"])
    case "organization-plan":
      return (["starter", "professional", "enterprise"], nonsense + ["free", "Starter"])
    case "environment": return (["development", "production"], nonsense + ["test", "Production"])
    case "tls-minimum-version": return (["1.2", "1.3"], nonsense + ["1.1", "TLSv1.3", "1.20"])
    case "password-cost":
      return (["12", "16", "20"], nonsense + numbers + ["0", "11", "21", "on"])
    default: return ([], [])
    }
  }

  private static func values(_ options: ServerOptions) -> [String: String] {
    Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.name, $0.value(in: options)) })
  }

  @Test("Names are lower-case words with dashes, each once, and so are their variables")
  func names() {
    #expect(Set(Setting.all.map(\.name)).count == Setting.all.count)
    #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
    for setting in Setting.all {
      #expect(setting.name.wholeMatch(of: /[a-z]+(-[a-z][a-z0-9]*)*/) != nil, "\(setting.name)")
      #expect(setting.variable.wholeMatch(of: /NEEDLETAIL(_[A-Z][A-Z0-9]*)+/) != nil)
      #expect(!setting.help.isEmpty && !setting.help.contains("|"))
    }
  }

  @Test("A setting takes what it says, shows it, and changes no other", arguments: Setting.all)
  func good(setting: Setting) throws {
    let texts = Self.texts(of: setting).good
    try #require(!texts.isEmpty, "no texts are known for \(setting.name)")
    for text in texts {
      var options = Self.options()
      var expected = Self.values(options)
      try setting.apply(text, to: &options)
      expected[setting.name] = text
      #expect(Self.values(options) == expected)
    }
  }

  @Test("Every default can be given as it is shown", arguments: Setting.all)
  func defaults(setting: Setting) throws {
    var options = Self.options()
    let shown = setting.value(in: options)
    try setting.apply(shown, to: &options)
    #expect(setting.value(in: options) == shown)
  }

  @Test(
    "A setting refuses anything else, naming itself, the text and what it expects",
    arguments: Setting.all)
  func bad(setting: Setting) {
    let before = Self.options()
    for text in Self.texts(of: setting).bad {
      var options = before
      let error = #expect(throws: ControlPlaneError.self, "\(text)") {
        try setting.apply(text, to: &options)
      }
      #expect(
        error?.description == "setting \(setting.name): \"\(text)\" is not good; \(setting.help)")
      #expect(setting.value(in: options) == setting.value(in: before))
    }
  }

  @Test("The environment is applied first, then every --set in its order")
  func order() throws {
    var options = Self.options()
    try Setting.apply(
      environment: [
        "NEEDLETAIL_POOL_SIZE": "5", "NEEDLETAIL_POOL_OVERFLOW": "6", "NEEDLETAIL_URL": "x",
        "POOL_SIZE": "9",
      ],
      assignments: ["pool-size=7", "log-level=debug", "pool-size=8"], to: &options)
    #expect(options.database.poolSize == 8)
    #expect(options.database.overflow == 6)
    #expect(options.logLevel == "debug")
  }

  @Test("A bad value of the environment is refused though --set would win")
  func environment() {
    var options = Self.options()
    let error = #expect(throws: ControlPlaneError.self) {
      try Setting.apply(
        environment: ["NEEDLETAIL_LOOPS": "many"], assignments: ["loops=2"], to: &options)
    }
    #expect(error?.description.hasPrefix("setting loops: \"many\" is not good") == true)
  }

  @Test(
    "An assignment that is none, or of an unknown name, is refused with itself",
    arguments: ["", "=", "pool-size", "pool-size=", "=5", "pool_size=5", "POOL-SIZE=5", "x=1"])
  func assignment(text: String) {
    var options = Self.options()
    let error = #expect(throws: ControlPlaneError.self) {
      try Setting.apply(environment: [:], assignments: [text], to: &options)
    }
    #expect(error?.description.hasPrefix("--set \(text): expected name=value") == true)
  }

  @Test(
    "The page of settings has every setting with its variable, default and meaning, and no other")
  func page() throws {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("Docs/settings.md"), encoding: .utf8)
    let options = Self.options()
    let expected = Setting.all.map { setting in
      "| `\(setting.name)` | `\(setting.variable)` | \(setting.value(in: options)) "
        + "| \(setting.help) |"
    }
    #expect(page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init) == expected)
  }
}

/// Durations as settings write them.
struct DurationTextTests {
  @Test(
    "A duration is read by its unit",
    arguments: [
      ("1ms", .milliseconds(1)), ("250ms", .milliseconds(250)), ("10s", .seconds(10)),
      ("5m", .seconds(300)), ("2h", .seconds(7_200)), ("0010s", .seconds(10)),
      ("999999999h", .seconds(3_599_999_996_400)),
    ] as [(String, Duration)])
  func read(text: String, expected: Duration) {
    #expect(DurationText.read(text) == expected)
  }

  @Test(
    "Anything else is none",
    arguments: ["", "5", "ms", "s", "0s", "-5s", "1.5s", "5 s", "5S", "5sec", "5d", "5µs", "s5"])
  func refused(text: String) {
    #expect(DurationText.read(text) == nil)
  }

  @Test(
    "A duration is written in whole seconds where it has them, else in milliseconds",
    arguments: [
      (.seconds(1), "1s"), (.milliseconds(1_500), "1500ms"), (.seconds(3_600), "3600s"),
      (.milliseconds(1), "1ms"), (.seconds(60), "60s"),
    ] as [(Duration, String)])
  func text(duration: Duration, expected: String) {
    #expect(DurationText.text(duration) == expected)
    #expect(DurationText.read(expected) == duration)
  }
}
