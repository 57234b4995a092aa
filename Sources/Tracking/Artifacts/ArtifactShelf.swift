public import Artifacts
internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// The bounds of artifacts.
public struct ArtifactSettings: Sendable {
  /// What keeps them.
  public enum Store: String, CaseIterable, Sendable {
    /// A folder.
    case local
    /// A bucket.
    case s3
  }

  /// What keeps them.
  public var store = Store.local
  /// The folder: a full path; nil = nowhere.
  public var folder: String?
  /// The bucket.
  public var s3 = S3Settings()
  /// The largest file, in bytes.
  public var bytesMax: Int64 = 1 << 40
  /// The most bytes of a file in one message, either way.
  public var chunkBytes = 1 << 20
  /// Bytes that an organization may store, each content counted once; 0 = any number.
  public var quotaBytes: Int64 = 0
  /// The database whose store this one takes over; nil = none's.
  public var adopted: String?

  /// Makes settings with every bound at its default.
  public init() {}
}

/// The store of artifacts with its bounds.
public struct ArtifactShelf: Sendable {
  /// Where the bytes are.
  public let store: any ArtifactStore
  private(set) var settings: ArtifactSettings
  let ownership = ArtifactOwnership()

  /// Puts the two together.
  public init(_ store: any ArtifactStore, _ settings: ArtifactSettings) {
    self.store = store
    self.settings = settings
    self.settings.bytesMax = min(settings.bytesMax, store.fileBytesMax)
  }
}

/// The bounds that nobody sets.
enum ArtifactBounds {
  /// How many bytes come between two acknowledgements, at most about as many.
  static let bytesPerAcknowledgement: Int64 = 16 << 20
  /// How many bytes are written at once.
  static let bytesPerWrite = 1 << 20
  /// Bytes of a response where the caller says nothing.
  static let chunkBytes = 256 << 10
  static let chunkBytesMin = 1_024
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// How long an upload waits to be gone on with.
  static let uploadPatience = Duration.seconds(24 * 3_600)
}

extension TrackingService {
  /// The store.
  ///
  /// - Throws: ``CallError`` ARTIFACTS_NOT_CONFIGURED.
  func openShelf() throws(CallError) -> ArtifactShelf {
    guard let shelf else {
      throw CallError(
        TrackingErrorReason.artifactsNotConfigured,
        "This server has no place for artifacts: ask its operator to set artifact-folder "
          + "or artifact-store.")
    }
    return shelf
  }
}

extension CallError {
  /// What a caller hears of the store.
  init(_ error: ArtifactStoreError) {
    switch error {
    case .busy:
      self.init(
        TrackingErrorReason.artifactStoreBusy, "The artifact store is too busy; try again.",
        retryAfter: .milliseconds(500))
    case .inUse:
      self.init(
        TrackingErrorReason.uploadInUse,
        "Another stream still feeds this upload; end it, or try again shortly.",
        retryAfter: .seconds(1))
    case .full:
      self.init(
        TrackingErrorReason.artifactStoreFull,
        "The artifact store has no room left: ask its operator for more; what you deleted makes "
          + "room once upkeep has run.",
        retryAfter: .seconds(30))
    case .missing:
      self.init(
        TrackingErrorReason.artifactBytesLost,
        "The file's bytes are not in the store any more: upload it again, and tell the operator.")
    case .away:
      self.init(
        TrackingErrorReason.artifactStoreAway,
        "The artifact store does not answer, or too slowly; try again.", retryAfter: .seconds(2))
    case .denied(let cause):
      self.init(
        TrackingErrorReason.artifactStoreDenied,
        "The artifact store refuses the server (\(cause)): ask its operator to look at its key.")
    case .failed(let cause):
      self = .internal("the artifact store: \(cause)")
    }
  }
}

/// Asks the store for something.
func stored<Value>(
  _ work: () async throws(ArtifactStoreError) -> Value
) async throws(CallError) -> Value {
  do throws(ArtifactStoreError) {
    return try await work()
  } catch {
    throw CallError(error)
  }
}
