internal import ArgumentParser
internal import Client
internal import EventLoop
internal import Foundation
internal import Glibc
internal import Messages
internal import TLS
internal import Wire

/// The bounds of a transfer.
private enum Transfer {
  /// Bytes of a file in one message.
  static let chunkBytes = 256 << 10
  /// The longest time without progress while the server is away, unless `--timeout` says another.
  static let patience = Duration.seconds(300)
  /// Between two tries.
  static let pause = Duration.seconds(1)
}

/// The command `needletail artifacts upload`.
struct ArtifactsUpload: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "upload", abstract: "Upload a file, or a folder with everything in it.",
    discussion: """
      After a lost connection it goes on where it was. Where the server or its store is away, it \
      waits as long as --timeout says without any progress, else for 5 minutes.
      """)
  static var document: Document? { Document(Artifact.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(
    help: """
      RUN SOURCE [PATH]: the run's id, or latest; the file or the folder on this machine; its path \
      there, or its own name.
      """)
  var place: [String] = []

  @OptionGroup var of: ArtifactOwnerOptions

  func validate() throws { try of.check(place, 1...2, "what to upload, and at most one path") }

  func run(_ context: CommandContext) async throws {
    ProcessMemory.keepFreed()
    let (run, others) = of.split(place)
    let owner = try await of.owner(run, context)
    let source = others[0]
    let root = URL(fileURLWithPath: source).standardizedFileURL
    let place = others.count > 1 ? others[1] : root.lastPathComponent
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: root.path, isDirectory: &isFolder) else {
      throw CommandFailure(.usage, reason: "FILE_MISSING", "There is no \(source).")
    }
    guard isFolder.boolValue else { return try await upload(root, as: place, of: owner, context) }
    let names = FileManager.default.enumerator(atPath: root.path)?.allObjects ?? []
    for name in names.compactMap({ $0 as? String }).sorted() {
      let file = root.appendingPathComponent(name)
      guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else {
        continue
      }
      try await upload(file, as: place.isEmpty ? name : "\(place)/\(name)", of: owner, context)
    }
  }

  private func upload(
    _ file: URL, as path: String, of owner: ArtifactOwner, _ context: CommandContext
  ) async throws {
    let handle = try FileHandle(forReadingFrom: file)
    var opening = UploadArtifactRequest()
    owner.name(in: &opening)
    opening.path = path
    let size = Int64(try handle.seekToEnd())
    opening.sizeBytes = size
    var retries = Retries(context.global)
    var made: Artifact?
    while made == nil {
      do throws(ClientError) {
        made = try await send(handle, &opening, size, &retries, context)
      } catch {
        let isForgotten = error.reason == "UPLOAD_NOT_FOUND" && !opening.uploadID.isEmpty
        // The stream that broke may not be over yet where the server is concerned.
        try retries.check(error, mayPass: isForgotten || error.reason == "UPLOAD_IN_USE")
        if isForgotten { opening.uploadID = "" }
        try await Task.sleep(for: Transfer.pause)
      }
    }
    if let made { try tell("uploaded", made, context) }
  }

  /// Sends what is missing over one stream.
  private func send(
    _ handle: FileHandle, _ opening: inout UploadArtifactRequest, _ size: Int64,
    _ retries: inout Retries, _ context: CommandContext
  ) async throws(ClientError) -> Artifact {
    let call: DuplexCall<UploadArtifactRequest, UploadArtifactResponse> =
      try await context.connection.bidirectional(
        TrackingMethods.uploadArtifact, context.global.callOptions)
    try await call.send(opening)
    guard let first = try await call.next() else { throw Retries.broken }
    opening.uploadID = first.uploadID
    if let artifact = first.artifact { return artifact }
    retries.reached(first.durableBytes)
    var progress = Progress(opening.path, size)
    var request = UploadArtifactRequest()
    request.offset = first.durableBytes
    while true {
      request.data = read(handle, at: request.offset)
      if request.data.isEmpty { break }
      try await call.send(request)
      request.offset += Int64(request.data.count)
      progress.show(request.offset)
    }
    try await call.finishSending()
    progress.clear()
    while let response = try await call.next() {
      if let artifact = response.artifact { return artifact }
      retries.reached(response.durableBytes)
    }
    throw Retries.broken
  }

  /// A piece of the file; nothing where it cannot be read, which the server then finds too short.
  private func read(_ handle: FileHandle, at offset: Int64) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: Transfer.chunkBytes) { buffer, initialized in
      initialized = max(
        0, unsafe pread(handle.fileDescriptor, buffer.baseAddress, buffer.count, Int(offset)))
    }
  }
}

/// The command `needletail artifacts download`.
struct ArtifactsDownload: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "download", abstract: "Download a file, or everything below a folder.",
    discussion: """
      A file is there whole and checked by its SHA-256, or as it was before. Where the server or \
      its store is away, it waits as long as --timeout says without any progress, else for 5 \
      minutes.
      """)
  static var document: Document? { Document(Artifact.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(
    help: """
      RUN PATH: the run's id, or latest; the file's path, or with --recursive a folder's, or \
      nothing for all files.
      """)
  var place: [String] = []

  @OptionGroup var of: ArtifactOwnerOptions

  @Option(
    help: """
      Where to write it: a file, - for standard output, or with --recursive a folder; else its own \
      name.
      """)
  var to: String?

  @Flag(help: "Every file below the folder.")
  var recursive = false

  func validate() throws {
    try of.check(place, (recursive ? 0 : 1)...1, "one path, or --recursive")
    guard !recursive || to != "-" else {
      throw ValidationError("Standard output takes one file, not a folder.")
    }
  }

  func run(_ context: CommandContext) async throws {
    ProcessMemory.keepFreed()
    let (run, others) = of.split(place)
    let owner = try await of.owner(run, context)
    let path = others.first ?? ""
    let name = path.split(separator: "/").last.map(String.init) ?? "."
    if to == "-" {
      _ = try await fetch(path, of: owner, to: STDOUT_FILENO, context)
      return
    }
    let target = URL(fileURLWithPath: to ?? name)
    guard recursive else { return try await download(path, of: owner, to: target, context) }
    for file in try await files(below: path, of: owner, context) {
      let inside = path.isEmpty ? file : String(file.dropFirst(path.count + 1))
      let place = target.appendingPathComponent(inside)
      try FileManager.default.createDirectory(
        at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
      try await download(file, of: owner, to: place, context)
    }
  }

  private func download(
    _ path: String, of owner: ArtifactOwner, to target: URL, _ context: CommandContext
  ) async throws {
    let draft = target.deletingLastPathComponent()
      .appendingPathComponent(".needletail-\(UUID().uuidString)")
    guard FileManager.default.createFile(atPath: draft.path, contents: nil) else {
      throw CommandFailure(.other, reason: "FILE_UNUSABLE", "\(target.path) cannot be written.")
    }
    defer { try? FileManager.default.removeItem(at: draft) }  // Gone where all went well.
    let handle = try FileHandle(forWritingTo: draft)
    let artifact = try await fetch(path, of: owner, to: handle.fileDescriptor, context)
    guard unsafe rename(draft.path, target.path) == 0 else {
      throw CommandFailure(.other, reason: "FILE_UNUSABLE", "\(target.path) cannot be written.")
    }
    try tell("downloaded", artifact, context)
  }

  /// Writes the bytes as they come, and fails at their end where they are not what was uploaded.
  private func fetch(
    _ path: String, of owner: ArtifactOwner, to file: Int32, _ context: CommandContext
  ) async throws -> Artifact {
    var digest = RunningDigest()
    var artifact: Artifact?
    var retries = Retries(context.global)
    var request = DownloadArtifactRequest()
    owner.name(in: &request)
    request.path = path
    while true {
      do {
        let pieces: ResponseReader<DownloadArtifactResponse> =
          try await context.connection.serverStreaming(
            TrackingMethods.downloadArtifact, request, context.global.callOptions)
        var progress = Progress(path, 0)
        while let piece = try await pieces.next() {
          if let found = piece.artifact {
            guard artifact == nil || artifact?.id == found.id else {
              throw CommandFailure(
                .conflict, reason: "ARTIFACT_REPLACED", "The file was replaced; download it again.")
            }
            artifact = found
            progress = Progress(path, file == STDOUT_FILENO ? 0 : found.sizeBytes)
          }
          // The digest takes about as long as the file system's copy, on another processor.
          let data = piece.data
          async let written: Void = write(data, to: file)
          digest.add(data)
          try await written
          request.offset += Int64(piece.data.count)
          retries.reached(request.offset)
          progress.show(request.offset)
        }
        progress.clear()
        break
      } catch let error as ClientError {
        try retries.check(error)
        try await Task.sleep(for: Transfer.pause)
      }
    }
    let text = digest.finish().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    guard let artifact, artifact.sha256 == text else {
      throw CommandFailure(.other, reason: "TRANSFER_BROKEN", "\(path) came with other bytes.")
    }
    return artifact
  }
}

/// Writes all bytes at the file's place, beside what the caller does meanwhile.
@concurrent
private func write(_ bytes: [UInt8], to file: Int32) async throws {
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.write(
        file, buffer.baseAddress?.advanced(by: written), buffer.count - written)
    }
    guard count > 0 else {
      if count < 0, errno == EINTR { continue }
      if file == STDOUT_FILENO { Console.endUnwritten(errno) }
      let cause = unsafe String(cString: strerror(errno))
      throw CommandFailure(.other, reason: "FILE_UNUSABLE", "The file cannot be written: \(cause).")
    }
    written += count
  }
}

/// When to try again: as long as there is progress, and then for a while.
private struct Retries {
  private let patience: Duration
  private let isForPeople: Bool
  private var best: Int64 = -1
  private var since = ContinuousClock.now
  private var told = ""

  init(_ options: GlobalOptions) {
    patience = options.timeout?.duration ?? Transfer.patience
    isForPeople = options.output == .table
  }

  /// What is wrong where a server ends a transfer in the midst, without an error.
  static var broken: ClientError {
    ClientError(
      .status,
      Status(
        .unavailable, reason: "TRANSFER_BROKEN",
        message: "The server ended the transfer before its end."))
  }

  mutating func reached(_ bytes: Int64) {
    guard bytes > best else { return }
    best = bytes
    since = .now
    told = ""
  }

  /// Throws the error on where another try is of no use; else says, once, what is waited for.
  mutating func check(_ error: ClientError, mayPass: Bool = false) throws {
    let isFinal = ["ARTIFACT_QUOTA_EXCEEDED", "ARTIFACT_STORE_FULL"].contains(error.reason)
    let waited = ContinuousClock.now - since
    guard error.isRetryable || mayPass, !isFinal, waited < patience else { throw error }
    guard isForPeople, !mayPass, error.reason != told else { return }
    told = error.reason
    let left = duration(milliseconds: Int64((patience - waited) / .milliseconds(1)))
    Console.complain("\(visible(error.description)) Trying again for \(left).")
  }
}

/// How far a transfer is, on a terminal.
private struct Progress {
  private let name: String
  private let sizeBytes: Int64
  private var shown = -1

  init(_ name: String, _ sizeBytes: Int64) {
    self.name = name
    self.sizeBytes = sizeBytes
  }

  mutating func show(_ bytes: Int64) {
    guard Terminal.isInteractive, sizeBytes > 0 else { return }
    let percent = Int(100 * Double(bytes) / Double(sizeBytes))
    guard percent != shown else { return }
    shown = percent
    Console.ask("\r\(visible(name))  \(percent) % of \(ByteCount.text(sizeBytes))  ")
  }

  mutating func clear() {
    if shown >= 0 { Console.ask("\r\u{1B}[K") }
    shown = -1
  }
}
