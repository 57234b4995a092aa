import Client
import TLS
import Testing

@Suite struct SettingsTests {
  private let folder = Folder()

  private func connection(_ host: String) -> String {
    #"{"address":"\#(host)","port":7000,"api_key":"key-\#(host)","project_id":"p-\#(host)"}"#
  }

  private func resolve(
    _ variables: [String: String] = [:], _ change: (inout EndpointSettings) -> Void = { _ in }
  ) throws(ClientError) -> ResolvedEndpoint {
    var arguments = EndpointSettings()
    change(&arguments)
    return try Endpoint.resolve(arguments, in: folder.environment(variables))
  }

  @Test("Each source is used where no stronger one speaks")
  func precedence() throws {
    folder.write("project/.needletail/other.json", connection("last"))
    folder.write(
      "project/.needletail/last-connection-file", folder.path + "/project/.needletail/other.json\n")
    #expect(try resolve().endpoint.address == "last:7000")
    #expect(try resolve().projectID == "p-last")

    folder.write(
      ".config/needletail/config.json",
      #"{"profiles":{"default":\#(connection("default")),"second":\#(connection("second"))}}"#)
    #expect(try resolve().endpoint.address == "default:7000")
    #expect(try resolve(["NEEDLETAIL_PROFILE": "second"]).endpoint.address == "second:7000")

    let file = folder.write("named.json", connection("named"))
    var variables = ["NEEDLETAIL_CONNECTION_FILE": file]
    #expect(try resolve(variables).endpoint.address == "named:7000")

    variables["NEEDLETAIL_URL"] = "needletail://environment:7001"
    variables["NEEDLETAIL_API_KEY"] = "key-environment"
    #expect(try resolve(variables).endpoint.address == "environment:7001")
    #expect(try resolve(variables).endpoint.apiKey == "key-environment")

    #expect(try resolve(variables) { $0.profile = "second" }.endpoint.address == "second:7000")
    let argument = folder.write("argument.json", connection("argument"))
    #expect(
      try resolve(variables) { $0.connectionFile = argument }.endpoint.address == "argument:7000")
    let direct = try resolve(variables) {
      $0.connectionFile = argument
      $0.url = "direct"
    }
    #expect(direct.endpoint.address == "direct:7443")
    #expect(direct.endpoint.apiKey == "key-argument")
  }

  @Test("The project's own connection file is found from a folder below it")
  func ownFile() throws {
    folder.write("project/.needletail/connection.json", connection("own"))
    #expect(try resolve().endpoint.address == "own:7000")
  }

  @Test("A CA file is read; none means the system's authorities")
  func authority() throws {
    let file = folder.write("ca.pem", "PEM")
    let variables = ["NEEDLETAIL_URL": "host", "NEEDLETAIL_API_KEY": "k"]
    guard case .system = try resolve(variables).endpoint.trust else {
      Issue.record("the system's authorities are meant")
      return
    }
    guard case .authority(let pem) = try resolve(variables, { $0.caFile = file }).endpoint.trust
    else {
      Issue.record("the file's authorities are meant")
      return
    }
    #expect(pem == Array("PEM".utf8))
  }

  @Test("What is missing or wrong is named")
  func errors() throws {
    func message(
      _ variables: [String: String], _ change: (inout EndpointSettings) -> Void = { _ in }
    ) -> String {
      do throws(ClientError) {
        _ = try resolve(variables, change)
        return "nothing was refused"
      } catch {
        return error.description
      }
    }
    #expect(message([:]).contains("No server is known"))
    #expect(message(["NEEDLETAIL_URL": "host"]).contains("No API key is known"))
    #expect(message(["NEEDLETAIL_CONNECTION_FILE": "/nowhere"]).contains("no file /nowhere"))
    #expect(message(["NEEDLETAIL_PROFILE": "x"]).contains("profile x"))
    let broken = folder.write("broken.json", #"{"address": "a","#)
    #expect(message([:]) { $0.connectionFile = broken }.contains("broken.json is not JSON: line 1"))
    let port = folder.write("port.json", #"{"address": "a", "port": 70000}"#)
    #expect(message([:]) { $0.connectionFile = port }.contains("port must be a number"))
    let number = folder.write("number.json", #"{"address": "a", "api_key": 5}"#)
    #expect(message([:]) { $0.connectionFile = number }.contains("api_key must be a string"))
  }

  @Test(
    "Addresses are read in their usual forms",
    arguments: [
      ("needletail://host:1", "host", 1), ("host", "host", 7443), ("127.0.0.1:80", "127.0.0.1", 80),
      ("[::1]:80", "::1", 80), ("needletail://[fe80::1]/", "fe80::1", 7443), ("::1", "::1", 7443),
    ] as [(String, String, UInt16)])
  func urls(url: String, host: String, port: UInt16) throws {
    #expect(try Endpoint.parse(url: url) == (host, port))
  }

  @Test(
    "What is no address is refused",
    arguments: [
      "", "https://host", "host:0", "host:65536", "host:x", "user@host", "host/path", "[::1",
      "[]:1",
      "needletail://", ":80",
    ])
  func noURLs(url: String) {
    #expect(throws: ClientError.self) { try Endpoint.parse(url: url) }
  }
}
