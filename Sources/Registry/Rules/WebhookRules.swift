internal import Messages
internal import RPC

/// The bounds of webhooks.
///
/// A page of the longest of them fits a frame.
enum WebhookBounds {
  static let nameBytes = 1...63
  static let descriptionBytesMax = 4 << 10
  static let urlBytesMax = 2 << 10
  static let eventsMax = 100
  static let eventBytesMax = 100
  static let sealedSecretBytesMax = 4 << 10
  static let pageSize = 100
  static let pageSizeMax = 100
}

extension Validator {
  /// Checks what a new webhook says; reads its status.
  mutating func webhook(_ request: CreateWebhookRequest) -> WebhookStatus {
    webhookName(request.name)
    text("description", request.description, bytesMax: WebhookBounds.descriptionBytesMax)
    webhookURL(request.url)
    webhookEvents("events", request.events)
    sealedSecret(request.sealedSecret)
    return request.status == .unspecified ? .active : webhookStatus(request.status)
  }

  /// Checks a change of a webhook.
  mutating func webhook(_ request: UpdateWebhookRequest) {
    if let name = request.name { webhookName(name) }
    text("description", request.description ?? "", bytesMax: WebhookBounds.descriptionBytesMax)
    if let url = request.url { webhookURL(url) }
    if let events = request.events { webhookEvents("events.events", events.events) }
    sealedSecret(request.sealedSecret ?? "")
    if let status = request.status { _ = webhookStatus(status) }
  }

  /// Checks an event that a listing is about.
  mutating func webhookEvent(_ field: String, _ event: String) {
    let words = event.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let isWord = { (byte: UInt8) in
      (97...122).contains(byte) || (48...57).contains(byte) || byte == UInt8(ascii: "_")
    }
    guard event.utf8.count <= WebhookBounds.eventBytesMax, words.count == 2,
      words.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isWord) })
    else {
      return refuse(
        field,
        "must be two words of a-z, 0-9 and _ with a dot between them, at most "
          + "\(WebhookBounds.eventBytesMax) bytes")
    }
  }

  private mutating func webhookName(_ name: String) {
    let bytes = name.utf8
    let isEdge = { (byte: UInt8) in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
    guard WebhookBounds.nameBytes.contains(bytes.count), bytes.first.map(isEdge) == true,
      bytes.last.map(isEdge) == true,
      bytes.allSatisfy({ isEdge($0) || $0 == 45 || $0 == 46 || $0 == 95 })
    else {
      return refuse(
        "name",
        "must be 1 to \(WebhookBounds.nameBytes.upperBound) of A-Z, a-z, 0-9, ., _ and -, "
          + "beginning and ending with a letter or a digit")
    }
  }

  private mutating func webhookURL(_ url: String) {
    text("url", url, bytesMax: WebhookBounds.urlBytesMax)
    let scheme = ["http://", "https://"].first { url.lowercased().hasPrefix($0) }
    if url.utf8.count <= scheme?.utf8.count ?? url.utf8.count {
      refuse("url", "must begin with http:// or https:// and name a host")
    }
    if url.unicodeScalars.contains(where: {
      $0.properties.isWhitespace || $0.value < 32 || (127...159).contains($0.value)
    }) {
      refuse("url", "must not contain spaces and control characters")
    }
  }

  private mutating func webhookEvents(_ field: String, _ events: [String]) {
    if !(1...WebhookBounds.eventsMax).contains(events.count) {
      refuse(field, "must be 1 to \(WebhookBounds.eventsMax), are \(events.count)")
    }
    var seen = Set<String>()
    for (index, event) in events.prefix(WebhookBounds.eventsMax).enumerated() {
      webhookEvent("\(field)[\(index)]", event)
      if !seen.insert(event).inserted {
        refuse("\(field)[\(index)]", "must not be there twice")
      }
    }
  }

  private mutating func sealedSecret(_ secret: String) {
    text("sealed_secret", secret, bytesMax: WebhookBounds.sealedSecretBytesMax)
  }

  private mutating func webhookStatus(_ status: WebhookStatus) -> WebhookStatus {
    if status.word == nil { refuse("status", "must be ACTIVE or DISABLED") }
    return status
  }
}

extension WebhookStatus {
  /// As it is stored; nil for one that is not.
  var word: String? {
    switch self {
    case .active: "active"
    case .disabled: "disabled"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) { self = word == "disabled" ? .disabled : .active }
}
