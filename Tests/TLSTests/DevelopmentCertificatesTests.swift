import Foundation
import TLS
import Testing

@Suite("The development certificates")
struct DevelopmentCertificatesTests {
  @Test("are made once, kept, and loaded into a context")
  func idempotent() throws {
    let folder = try Folder()
    let first = try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    let second = try DevelopmentCertificates.prepare(in: folder.path, hosts: ["localhost"])
    #expect(first.identity.certificateChainPEM == second.identity.certificateChainPEM)
    #expect(first.identity.privateKeyPEM == second.identity.privateKeyPEM)
    let server = try TLSContext(
      server: second.identity, settings: TLSSettings(applicationProtocols: ["needletail/1"]))
    let trust = TLSClientSettings.Trust.authority(pem: try folder.read("ca.pem"))
    let client = try TLSContext(
      client: TLSClientSettings(trust: trust, applicationProtocols: ["needletail/1"]))
    for name in ["localhost", "127.0.0.1", "::1"] {
      let pair = try MemoryPair(client: client, server: server, name: PeerName(name))
      try pair.shakeHands()
      #expect(pair.isDone)
    }
  }

  @Test("are for their owner only")
  func modes() throws {
    let folder = try Folder()
    _ = try DevelopmentCertificates.prepare(in: folder.path + "/certificates", hosts: [])
    let modes: [(String, Int)] = [
      ("certificates", 0o700), ("certificates/ca.key", 0o600), ("certificates/server.key", 0o600),
      ("certificates/ca.pem", 0o644), ("certificates/server.pem", 0o644),
    ]
    for (name, mode) in modes { #expect(try folder.mode(name) == mode, "\(name)") }
  }

  @Test("gain a host that they lack, and keep the others")
  func hosts() throws {
    let folder = try Folder()
    _ = try DevelopmentCertificates.prepare(in: folder.path, hosts: ["one.example"])
    let authority = try folder.read("ca.pem")
    let prepared = try DevelopmentCertificates.prepare(
      in: folder.path, hosts: ["two.example", "10.1.2.3", "[fe80::1]"])
    #expect(try folder.read("ca.pem") == authority)
    let server = try TLSContext(
      server: prepared.identity, settings: TLSSettings(applicationProtocols: ["needletail/1"]))
    let client = try TLSContext(
      client: TLSClientSettings(
        trust: .authority(pem: authority), applicationProtocols: ["needletail/1"]))
    for name in ["one.example", "two.example", "10.1.2.3", "fe80::1", "localhost"] {
      let pair = try MemoryPair(client: client, server: server, name: PeerName(name))
      try pair.shakeHands()
      #expect(pair.isDone, "\(name)")
    }
  }

  @Test("are renewed when they end within 30 days, under the same authority")
  func renewal() throws {
    let folder = try Folder()
    _ = try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    let authorityPEM = try folder.read("ca.pem")
    let authority = try DevelopmentAuthority(
      certificatePEM: authorityPEM, privateKeyPEM: folder.read("ca.key"))
    let short = try authority.serverIdentity(
      hosts: DevelopmentCertificates.loopback, validity: .days(29))
    try folder.write("server.pem", short.certificateChainPEM)
    try folder.write("server.key", short.privateKeyPEM)
    let renewed = try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    #expect(renewed.identity.certificateChainPEM != short.certificateChainPEM)
    #expect(try folder.read("ca.pem") == authorityPEM)
  }

  @Test("are made anew when the authority ends soon")
  func authorityRenewal() throws {
    let folder = try Folder()
    let old = try DevelopmentAuthority(name: "old", validity: .days(20))
    try folder.write("ca.pem", old.certificatePEM)
    try folder.write("ca.key", old.privateKeyPEM)
    let prepared = try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    let isKept = old.signed(prepared.identity.certificateChainPEM)
    #expect(!isKept)
  }

  @Test("are never made over an authority that cannot be read")
  func brokenAuthority() throws {
    let folder = try Folder()
    _ = try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    try folder.write("ca.key", Array("garbage".utf8))
    let error = #expect(throws: TLSError.self) {
      try DevelopmentCertificates.prepare(in: folder.path, hosts: [])
    }
    #expect(error?.reason == .keyUnreadable)
    #expect(error?.detail.contains("ca.key") == true)
    #expect(try folder.read("ca.key") == Array("garbage".utf8))
  }

  @Test("refuse a host that is none", arguments: ["a b", "", "x,DNS:evil.example", "näme"])
  func badHosts(host: String) throws {
    let folder = try Folder()
    #expect(throws: TLSError(.settingInvalid, "\"\(host)\" is not a host name or an address")) {
      try DevelopmentCertificates.prepare(in: folder.path, hosts: [host])
    }
  }

  @Test("name the folder that cannot be made")
  func badFolder() {
    let error = #expect(throws: TLSError.self) {
      try DevelopmentCertificates.prepare(in: "/proc/nowhere/x", hosts: [])
    }
    #expect(error?.reason == .fileUnusable)
    #expect(error?.detail.hasPrefix("/proc/nowhere/x cannot be made: ") == true)
  }
}

/// A folder of its own for a test, removed with the value.
final class Folder {
  let path: String

  init() throws {
    path = "/tmp/needletail-tls-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)")))
  }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
  }

  func mode(_ name: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")[.posixPermissions] as? Int
  }

  deinit {
    // A folder that is gone already is as good.
    try? FileManager.default.removeItem(atPath: path)
  }
}
