import TLS
import Testing

@testable import Client

/// One case of `Conformance/settings.json`.
private struct SettingsCase: CustomTestStringConvertible, Sendable {
  let json: JSONValue

  var testDescription: String { json["name"]?.text ?? "" }

  func members(_ name: String) -> [JSONValue.Member] {
    guard case .object(let members) = json[name] else { return [] }
    return members
  }

  static let all: [SettingsCase] = {
    let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let path = "/\(folder)/Conformance/settings.json"
    guard let bytes = try? readWholeFile(path, bytesMax: settingsFileBytesMax),
      case .array(let cases) = try? JSONValue.parse(bytes)
    else { return [] }
    return cases.map(SettingsCase.init)
  }()
}

@Suite struct SharedSettingsTests {
  private let folder = Folder()

  @Test("Settings are found where every client finds them", arguments: SettingsCase.all)
  private func shared(settings: SettingsCase) throws {
    for file in settings.members("files") {
      let mode = settings.json["modes"]?[file.key]?.text.flatMap { UInt32($0, radix: 8) }
      folder.write(file.key, file.value.text ?? file.value.compact, mode: mode ?? 0o600)
    }
    func here(_ value: JSONValue) -> String {
      (value.text ?? "").replacing("{folder}", with: folder.path)
    }
    var variables = ["XDG_CONFIG_HOME": "\(folder.path)/config"]
    for variable in settings.members("variables") { variables[variable.key] = here(variable.value) }
    var arguments = EndpointSettings()
    for argument in settings.members("arguments") {
      let text = here(argument.value)
      switch argument.key {
      case "url": arguments.url = text
      case "api_key": arguments.apiKey = text
      case "ca_file": arguments.caFile = text
      case "profile": arguments.profile = text
      default: Issue.record("no argument \(argument.key)")
      }
    }
    let environment = folder.environment(variables)
    let found = Result { () throws(ClientError) in
      try Endpoint.resolve(arguments, in: environment)
    }
    switch found {
    case .success(let resolved): expect(resolved, settings.json["expect"])
    case .failure(let error):
      let text = try #require(settings.json["error"]?.text, "\(error)")
      #expect(error.description.contains(text))
    }
  }

  private func expect(_ found: ResolvedEndpoint, _ expected: JSONValue?) {
    guard let expected else {
      Issue.record("an error was expected, and \(found.endpoint.address) was found")
      return
    }
    #expect(found.endpoint.address == expected["address"]?.text)
    #expect(found.endpoint.apiKey == expected["api_key"]?.text)
    #expect(found.organizationID == expected["organization_id"]?.text ?? "")
    #expect(found.projectID == expected["project_id"]?.text ?? "")
    var trusted: String?
    if case .authority(let pem) = found.endpoint.trust {
      trusted = String(decoding: pem, as: UTF8.self)
    }
    #expect(trusted == expected["ca"]?.text)
  }

  @Test("There are cases, each with a name of its own")
  func names() {
    let names = SettingsCase.all.map(\.testDescription)
    #expect(names.count > 20)
    #expect(Set(names).count == names.count)
  }

  // MARK: The file

  private var file: ProfileFile { ProfileFile(path: "\(folder.path)/new/deep/config.json") }

  @Test("A file of profiles and its folders are made for their owner alone, whatever the umask")
  func modes() throws {
    try file.edit { profiles throws(ClientError) in profiles["a"] = .object([]) }
    #expect(folder.mode("new/deep/config.json") == 0o600)
    #expect(folder.mode("new/deep") == 0o700)
    #expect(folder.mode("new") == 0o700)
    #expect(folder.names(in: "new/deep") == ["config.json"])
  }

  @Test("Two who change the file at once lose nothing of one another")
  func concurrency() async throws {
    let file = file
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<50 {
        group.addTask {
          try file.edit { profiles throws(ClientError) in
            profiles["p\(number)"] = .object([])
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try file.read()?.names.count == 50)
  }

  @Test("What another version has stored stays as it is")
  func unknownMembers() throws {
    folder.write(
      "new/deep/config.json",
      #"{"theme": "dark", "profiles": {"a": {"address": "a", "color": 7}}, "current": "a"}"#)
    try file.edit { profiles throws(ClientError) in
      profiles["b"] = .object([.init("address", .string("b"))])
      profiles.current = "b"
    }
    let read = try #require(try file.read())
    #expect(read["a"]?["color"] == .number("7"))
    #expect(read.text.contains(#""theme": "dark""#))
    #expect(read.current == "b")
  }

  @Test("A change that is given up leaves the file as it was")
  func givenUp() throws {
    let path = folder.write("new/deep/config.json", #"{"profiles": {"a": {}}}"#)
    #expect(throws: ClientError.self) {
      try file.edit { profiles throws(ClientError) in
        profiles["b"] = .object([])
        throw .closed
      }
    }
    #expect(try file.read()?.names == ["a"])
    #expect(path.hasSuffix("config.json"))
  }

  @Test(
    "Names are short words",
    arguments: [
      ("prod", true), ("eu-1.acme_x", true), ("", false), ("a b", false), ("a/b", false),
      ("ü", false), (String(repeating: "a", count: 64), true),
      (String(repeating: "a", count: 65), false),
    ])
  func profileNames(name: String, isGood: Bool) {
    #expect((Profiles.problem(withName: name) == nil) == isGood)
  }
}
