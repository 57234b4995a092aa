internal import Messages
internal import RPC

/// The bounds of label schemas.
///
/// A page of the longest of them fits a frame.
enum LabelSchemaBounds {
  /// Unicode scalars.
  static let nameCharacters = 1...250
  /// Unicode scalars.
  static let instructionCharactersMax = 1_000
  static let optionsCount = 1...10
  /// Unicode scalars of an option, or of the word for true or false.
  static let labelCharacters = 1...64
  static let pageSize = 100
  static let pageSizeMax = 100
}

/// What people answer with, as it is stored.
struct StoredLabelInput {
  var kind = "text"
  var labels: [String] = []
  var isMultiSelect = false
  var minValue: Double?
  var maxValue: Double?
  var maxLength: Int64?

  /// Whether answers to `other` are answers to this one, too.
  func isAlike(_ other: StoredLabelInput) -> Bool {
    kind == other.kind && isMultiSelect == other.isMultiSelect
  }

  /// What the audit log keeps.
  var audited: String {
    let limits = [
      minValue.map { "from \($0)" }, maxValue.map { "to \($0)" },
      maxLength.map { "at most \($0)" },
    ]
    return ([kind] + labels + limits.compactMap(\.self)).joined(separator: " | ")
  }
}

extension Validator {
  /// Checks what a new label schema says; reads its input.
  mutating func labelSchema(_ request: CreateLabelSchemaRequest) -> StoredLabelInput {
    labelText(name: request.name, instruction: request.instruction)
    if request.kind != .feedback && request.kind != .expectation {
      refuse("kind", "must be FEEDBACK or EXPECTATION")
    }
    guard let input = request.input else {
      refuse("input", "must be there: one of pass_fail, categorical, numeric and text")
      return StoredLabelInput()
    }
    return labelInput(input)
  }

  /// Checks a change of a label schema; reads the input where one is given.
  mutating func labelSchema(_ request: UpdateLabelSchemaRequest) -> StoredLabelInput? {
    labelText(name: request.name, instruction: request.instruction)
    return request.input.map { labelInput($0) }
  }

  private mutating func labelText(name: String?, instruction: String?) {
    if let name { self.name("name", name, characters: LabelSchemaBounds.nameCharacters) }
    let most = LabelSchemaBounds.instructionCharactersMax
    if let count = instruction?.unicodeScalars.count, count > most {
      refuse("instruction", "must be at most \(most) characters, is \(count)")
    }
  }

  private mutating func labelInput(_ input: LabelInput) -> StoredLabelInput {
    let given = [
      input.passFail != nil, input.categorical != nil, input.numeric != nil, input.text != nil,
    ]
    guard given.count(where: \.self) == 1 else {
      refuse("input", "must have exactly one of pass_fail, categorical, numeric and text")
      return StoredLabelInput()
    }
    if let passFail = input.passFail {
      let labels = [passFail.positiveLabel, passFail.negativeLabel]
      label("input.pass_fail.positive_label", labels[0])
      label("input.pass_fail.negative_label", labels[1])
      if ExactText(labels[0]) == ExactText(labels[1]) {
        refuse("input.pass_fail.negative_label", "must be another than positive_label")
      }
      return StoredLabelInput(kind: "pass_fail", labels: labels)
    }
    if let categorical = input.categorical {
      options(categorical.options)
      return StoredLabelInput(
        kind: "categorical", labels: categorical.options, isMultiSelect: categorical.multiSelect)
    }
    if let numeric = input.numeric {
      limits(numeric.minValue, numeric.maxValue)
      return StoredLabelInput(
        kind: "numeric", minValue: numeric.minValue, maxValue: numeric.maxValue)
    }
    if let length = input.text?.maxLength, length < 1 {
      refuse("input.text.max_length", "must be at least 1, is \(length)")
    }
    return StoredLabelInput(maxLength: input.text?.maxLength)
  }

  private mutating func label(_ field: String, _ label: String) {
    name(field, label, characters: LabelSchemaBounds.labelCharacters)
  }

  private mutating func options(_ options: [String]) {
    let field = "input.categorical.options"
    let count = LabelSchemaBounds.optionsCount
    if !count.contains(options.count) {
      refuse(field, "must be \(count.lowerBound) to \(count.upperBound), are \(options.count)")
    }
    var seen: Set<ExactText> = []
    for (index, option) in options.prefix(count.upperBound).enumerated() {
      label("\(field)[\(index)]", option)
      if !seen.insert(ExactText(option)).inserted {
        refuse("\(field)[\(index)]", "must not come twice")
      }
    }
  }

  private mutating func limits(_ least: Double?, _ greatest: Double?) {
    for (field, value) in [("min_value", least), ("max_value", greatest)] {
      if let value, !value.isFinite { refuse("input.numeric.\(field)", "must be finite") }
    }
    if let least, let greatest, !(least < greatest) {
      refuse("input.numeric.max_value", "must be more than min_value")
    }
  }
}

extension LabelInput {
  /// An input as it was stored.
  init(_ stored: StoredLabelInput) {
    self.init()
    switch stored.kind {
    case "pass_fail":
      var input = PassFailInput()
      input.positiveLabel = stored.labels.first ?? ""
      input.negativeLabel = stored.labels.last ?? ""
      passFail = input
    case "categorical":
      var input = CategoricalInput()
      input.options = stored.labels
      input.multiSelect = stored.isMultiSelect
      categorical = input
    case "numeric":
      var input = NumericInput()
      input.minValue = stored.minValue
      input.maxValue = stored.maxValue
      numeric = input
    default:
      var input = TextInput()
      input.maxLength = stored.maxLength
      text = input
    }
  }
}
