public import Wire

/// What an installation is for.
public enum InstallationKind: String, Sendable, CaseIterable {
  /// To try things out: sample data may be made in it.
  case development
  /// To work with.
  case production
}

/// The bounds of a server that are not the protocol's own.
public struct ServerSettings: Sendable {
  /// What the installation is for.
  ///
  /// Default production; `needletail up` with nothing but loopback addresses and a database of its
  /// own is for development.
  public var environment = InstallationKind.production
  /// The protocol's bounds.
  public var wire = WireLimits()
  /// Open connections of the process.
  ///
  /// Default 20,000.
  public var connectionsMax = 20_000
  /// Open connections of an address: IPv4, or the 64-bit prefix of IPv6.
  ///
  /// Default 4,096.
  public var connectionsPerAddressMax = 4_096
  /// Open connections of an API key.
  ///
  /// Default 2,048.
  public var connectionsPerKeyMax = 2_048
  /// Open connections of an organization.
  ///
  /// Default 8,192.
  public var connectionsPerOrganizationMax = 8_192
  /// Connections of the process whose Hello is not answered yet.
  ///
  /// Default 1,024.
  public var unauthenticatedMax = 1_024
  /// Connections of an address whose Hello is not answered yet.
  ///
  /// Default 64.
  public var unauthenticatedPerAddressMax = 64
  /// Refused Hellos of an address in a minute, after which its Hellos are answered late.
  ///
  /// Default 20.
  public var failedHellosPerMinuteMax = 20
  /// How late those are answered.
  ///
  /// Default 1 s.
  public var failedHelloDelay: Duration = .seconds(1)
  /// How long a connection without an API key may stay; it counts among the unauthenticated ones.
  ///
  /// Default 60 s.
  public var anonymousTimeout: Duration = .seconds(60)
  /// Time for the TLS handshake.
  ///
  /// Default 10 s.
  public var handshakeTimeout: Duration = .seconds(10)
  /// Time that a peer may leave answers unread.
  ///
  /// Default 60 s.
  public var writeStallTimeout: Duration = .seconds(60)
  /// Bytes a second that a peer must take while answers wait, on the average of that time.
  ///
  /// Default 1 KiB.
  public var writeBytesPerSecondMin: UInt64 = 1 << 10
  /// Time that sent bytes may stay without the acknowledgement of TCP.
  ///
  /// Default 30 s.
  public var acknowledgementTimeout: Duration = .seconds(30)
  /// Calls a second of an API key, with a burst of one second's; 0 = no bound.
  ///
  /// Default 0.
  public var callsPerSecond: UInt64 = 0
  /// Message bytes a second of an API key, both ways, with a burst of one second's; 0 = no bound.
  ///
  /// Default 0.
  public var bytesPerSecond: UInt64 = 0
  /// Calls of a connection that are refused for its key's rate in a second, after which nothing
  /// more is read of it for a while: what is refused must not cost what is answered.
  ///
  /// Default 64.
  public var rateRefusalsPerSecondMax = 64
  /// How long that is; each time half as long to half as long again.
  ///
  /// Default 100 ms.
  public var rateRefusalPause: Duration = .milliseconds(100)
  /// How long nothing more is read of a connection after each stream that it cancels beyond
  /// ``WireLimits/cancelsFree``; each time half as long to half as long again.
  ///
  /// Default 4 ms.
  public var cancelPause: Duration = .milliseconds(4)
  /// Bytes of a connection that one turn of the loop reads at most.
  ///
  /// Default 256 KiB.
  public var readBytesPerTurnMax = 256 << 10
  /// Calls that a connection starts in one turn of the loop; others' turn comes before the next.
  ///
  /// Default 64.
  public var callsPerTurnMax = 64
  /// Unsent answers of a connection, in bytes, above which streams wait.
  ///
  /// Default 1 MiB.
  public var outputBytesMax = 1 << 20
  /// Calls at work and unsent answers of a connection, in bytes, above which nothing more is read.
  ///
  /// Default 8 MiB.
  public var outputBytesPause = 8 << 20
  /// How long accepting pauses when no descriptor is left.
  ///
  /// Default 100 ms.
  public var acceptPause: Duration = .milliseconds(100)
  /// TLS key updates of a peer in a minute.
  ///
  /// Default 10.
  public var keyUpdatesPerMinuteMax = 10
  /// How long refused attempts of one kind are counted before they are one entry of the audit log.
  ///
  /// Default 1 min.
  public var auditRefusalInterval: Duration = .seconds(60)
  /// How old an entry of the audit log is when an export sends it.
  ///
  /// More than a call waits for the database between its entry's id and its commit. Default 15 s.
  public var auditExportHorizon: Duration = .seconds(15)
  /// Time that a statement of a search may take.
  ///
  /// Default 10 s.
  public var searchTimeout: Duration = .seconds(10)
  /// What the server calls itself: "needletail/0.1.0".
  public var software: String

  /// Makes the defaults.
  public init(software: String) {
    self.software = software
  }
}
