import Client
import Messages
import Testing

@testable import needletail

private func ownSchema() throws -> Schema {
  try Schema(fileDescriptorSet: Descriptors.fileDescriptorSet)
}

/// A message type with a field of every kind, which no message of the server has.
private func everyKind() -> Schema {
  var schema = Schema()
  var type = MessageType(fullName: "test.Every")
  func add(
    _ name: String, _ kind: FieldType.Kind, typeName: String = "",
    _ change: (inout FieldType) -> Void = { _ in }
  ) {
    var field = FieldType()
    field.name = name
    let words = name.split(separator: "_")
    field.jsonName =
      words[0] + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    field.number = type.fields.count + 1
    field.kind = kind
    field.typeName = typeName
    change(&field)
    type.fields.append(field)
  }
  for kind in 1...18 {
    guard let kind = FieldType.Kind(rawValue: kind), kind != .group else { continue }
    let typeName =
      switch kind {
      case .enum: "test.Color"
      case .message: "test.Every"
      default: ""
      }
    add("\(kind)_one", kind, typeName: typeName)
    add("\(kind)_many", kind, typeName: typeName) { $0.isRepeated = true }
    add("\(kind)_maybe", kind, typeName: typeName) { $0.isOptional = true }
  }
  add("by_name", .message, typeName: "test.Every.ByNameEntry") { $0.isRepeated = true }
  add("by_number", .message, typeName: "test.Every.ByNumberEntry") { $0.isRepeated = true }
  add("left", .string) { $0.oneof = 0 }
  add("right", .int32) { $0.oneof = 0 }
  add("unpacked", .int32) {
    $0.isRepeated = true
    $0.isPacked = false
  }
  add("at", .message, typeName: WellKnown.timestamp)
  type.oneofs = ["side"]
  schema.add(type)
  for (name, key) in [("ByNameEntry", FieldType.Kind.string), ("ByNumberEntry", .sint64)] {
    var entry = MessageType(fullName: "test.Every.\(name)", isMapEntry: true)
    var keyField = FieldType()
    (keyField.name, keyField.jsonName, keyField.number, keyField.kind) = ("key", "key", 1, key)
    var value = FieldType()
    (value.name, value.jsonName, value.number, value.kind) = ("value", "value", 2, .double)
    entry.fields = [keyField, value]
    schema.add(entry)
  }
  schema.add(
    EnumType(
      fullName: "test.Color", values: [("COLOR_UNSPECIFIED", 0, ""), ("COLOR_RED", 1, "")]))
  return schema
}

private func canonical(_ json: String, _ schema: Schema, _ type: String) throws -> String {
  let bytes = try MessageEncoder(schema: schema).encode(
    try JSONValue.parse(Array(json.utf8)), as: type)
  return try MessageDecoder(schema: schema, includesDefaults: false).decode(bytes, as: type).compact
}

private func sampleRun() -> Run {
  var run = Run()
  run.id = "0198"
  run.name = "naïve \u{1F41F}"
  run.status = .running
  run.startedAt = Timestamp(microseconds: 1_767_323_045_678_901)
  run.createdAt = Timestamp(microseconds: -1)
  run.durationMs = .max
  return run
}

private func sampleSeries() -> MetricSeries {
  var series = MetricSeries()
  series.key = "loss"
  series.steps = [.min, -1, 0, 1, .max]
  series.timesUs = [0, -5, 1_767_323_045_678_901, 1, 2]
  series.values = [0.1, -0.0, .infinity, -.infinity, .leastNonzeroMagnitude]
  return series
}

private func samples() -> [any Message] {
  var unknownStatus = Run()
  unknownStatus.status = .unrecognized(77)
  var update = UpdateRunRequest()
  update.description = ""
  update.status = .unspecified
  var append = AppendMetricsRequest()
  append.sequence = .max
  var runMetrics = RunMetrics()
  runMetrics.series = [sampleSeries(), MetricSeries()]
  append.runs = [runMetrics]
  var me = WhoAmIResponse()
  me.permissions = ["a", ""]
  me.projects = [ProjectSummary(), ProjectSummary()]
  me.apiKeyExpiresAt = Timestamp(microseconds: 0)
  var echo = EchoRequest()
  echo.payload = Array(0...255)
  var watch = WatchRunRequest()
  watch.stay = true
  var history = StreamMetricHistoryRequest()
  history.fromStep = 0
  return [
    sampleRun(), unknownStatus, sampleSeries(), update, append, me, echo, watch, history, Run(),
  ]
}

@Suite struct GenericMessageTests {
  @Test("A message comes back from JSON as it was", arguments: 0..<10)
  func roundTrip(index: Int) throws {
    let schema = try ownSchema()
    func check<Value: Message>(_ message: Value) throws {
      let json = try MessageDecoder(schema: schema, includesDefaults: false).decode(
        message.encoded, as: Value.fullName)
      // Through text, as a user would see it.
      let text = try JSONValue.parse(Array(json.pretty.utf8))
      let bytes = try MessageEncoder(schema: schema).encode(text, as: Value.fullName)
      #expect(bytes == message.encoded)
      #expect(try Value.decode(bytes) == message)
    }
    try check(samples()[index])
  }

  @Test("A message is written by proto3's JSON mapping")
  func mapping() throws {
    let decoder = MessageDecoder(schema: try ownSchema(), includesDefaults: false)
    let run = try decoder.decode(sampleRun().encoded, as: Run.fullName)
    #expect(
      run.compact == #"{"id":"0198","name":"naïve 🐟","status":"RUN_STATUS_RUNNING","#
        + #""startedAt":"2026-01-02T03:04:05.678901Z","durationMs":"9223372036854775807","#
        + #""createdAt":"1969-12-31T23:59:59.999999Z"}"#)
    let series = try decoder.decode(sampleSeries().encoded, as: MetricSeries.fullName)
    #expect(
      series["values"]
        == .array([
          .number("0.1"), .number("-0"), .string("Infinity"), .string("-Infinity"),
          .number("5e-324"),
        ]))
    #expect(series["steps"]?.compact.hasPrefix(#"["-9223372036854775808","-1","0""#) == true)
  }

  @Test(
    "Every kind of field is read and written",
    arguments: [
      (#"{"int32One":-7}"#, #"{"int32One":-7}"#),
      (#"{"int32_one":7}"#, #"{"int32One":7}"#),
      (
        #"{"int32One":"7","sint32One":-2147483648,"sfixed32One":-1}"#,
        #"{"int32One":7,"sint32One":-2147483648,"sfixed32One":-1}"#
      ),
      (
        #"{"int32One":1e3,"uint32One":4294967295,"fixed32One":5.0}"#,
        #"{"int32One":1000,"uint32One":4294967295,"fixed32One":5}"#
      ),
      (
        #"{"int64One":"-9223372036854775808","uint64One":18446744073709551615}"#,
        #"{"int64One":"-9223372036854775808","uint64One":"18446744073709551615"}"#
      ),
      (
        #"{"sint64Many":[1,-1,"2"],"sfixed64Many":["-5"],"fixed64Many":[6]}"#,
        #"{"fixed64Many":["6"],"sfixed64Many":["-5"],"sint64Many":["1","-1","2"]}"#
      ),
      (
        #"{"doubleOne":0,"doubleMaybe":0,"floatMany":[1.5,"NaN","Infinity",-0.0]}"#,
        #"{"doubleMaybe":0,"floatMany":[1.5,"NaN","Infinity",-0]}"#
      ),
      (
        #"{"boolOne":true,"boolMany":[false,true],"boolMaybe":false}"#,
        #"{"boolOne":true,"boolMany":[false,true],"boolMaybe":false}"#
      ),
      (
        #"{"stringOne":"","stringMany":["","é"],"stringMaybe":""}"#,
        #"{"stringMany":["","é"],"stringMaybe":""}"#
      ),
      (
        #"{"bytesOne":"AQI","bytesMany":["-_8=",""]}"#,
        #"{"bytesOne":"AQI=","bytesMany":["+/8=",""]}"#
      ),
      (
        #"{"enumOne":"COLOR_RED","enumMany":[1,"COLOR_UNSPECIFIED",9],"enumMaybe":0}"#,
        #"{"enumOne":"COLOR_RED","enumMany":["COLOR_RED","COLOR_UNSPECIFIED",9],"#
          + #""enumMaybe":"COLOR_UNSPECIFIED"}"#
      ),
      (
        #"{"messageOne":{},"messageMany":[{},{"boolOne":true}]}"#,
        #"{"messageMany":[{},{"boolOne":true}],"messageOne":{}}"#
      ),
      (
        #"{"byName":{"a":1,"":2.5},"byNumber":{"-3":0}}"#,
        #"{"byName":{"a":1,"":2.5},"byNumber":{"-3":0}}"#
      ),
      (#"{"left":"","unpacked":[1,2]}"#, #"{"left":"","unpacked":[1,2]}"#),
      (#"{"right":null,"left":null}"#, "{}"),
      (#"{"at":"2000-02-29T23:59:59.5+02:00"}"#, #"{"at":"2000-02-29T21:59:59.500Z"}"#),
    ])
  func kinds(json: String, expected: String) throws {
    let found = try JSONValue.parse(Array(try canonical(json, everyKind(), "test.Every").utf8))
    let wanted = try JSONValue.parse(Array(expected.utf8))
    #expect(sorted(found) == sorted(wanted))
  }

  /// Members by name: the order of fields is not what these cases are about.
  private func sorted(_ json: JSONValue) -> [String] {
    guard case .object(let members) = json else { return [json.compact] }
    return members.map { "\($0.key)=\($0.value.compact)" }.sorted()
  }

  @Test(
    "What does not fit is refused with its path",
    arguments: [
      (#"{"nope":1}"#, "nope", "no such field"),
      (
        #"{"messageOne":{"messageMany":[{},{"nope":1}]}}"#, "message_one.message_many[1].nope",
        "no such field"
      ),
      (#"{"int32One":2147483648}"#, "int32_one", "an integer from -2147483648"),
      (#"{"int32One":1.5}"#, "int32_one", "an integer"),
      (#"{"uint64Many":[1,-1]}"#, "uint64_many[1]", "an integer from 0"),
      (#"{"int64One":true}"#, "int64_one", "not a Boolean"),
      (#"{"boolOne":"true"}"#, "bool_one", "true or false"),
      (#"{"stringOne":5}"#, "string_one", "a string is expected"),
      (#"{"bytesOne":"A"}"#, "bytes_one", "base64"),
      (#"{"enumOne":"COLOR_GREEN"}"#, "enum_one", "COLOR_UNSPECIFIED, COLOR_RED"),
      (#"{"doubleOne":"nan"}"#, "double_one", "a number"),
      (#"{"floatOne":1e39}"#, "float_one", "32 bits"),
      (#"{"int32Many":5}"#, "int32_many", "an array is expected"),
      (#"{"messageOne":[]}"#, "message_one", "an object is expected"),
      (#"{"byName":{"a":"x"}}"#, #"by_name["a"]"#, "a number"),
      (#"{"byNumber":{"x":1}}"#, #"by_number["x"]"#, "an integer"),
      (#"{"left":"a","right":1}"#, "right", "only one of left"),
      (#"{"int32One":1,"int32_one":2}"#, "int32_one", "both of its names"),
      (#"{"at":"2001-02-29T00:00:00Z"}"#, "at", "a time is expected"),
      ("[]", "", "an object is expected"),
    ])
  func errors(json: String, path: String, problem: String) throws {
    let error = #expect(throws: GenericError.self) {
      try canonical(json, everyKind(), "test.Every")
    }
    #expect(error?.path == path)
    #expect(error?.problem.contains(problem) == true)
  }

  @Test("Defaults are written where they are asked for, absent fields never")
  func defaults() throws {
    let decoder = MessageDecoder(schema: try ownSchema(), includesDefaults: true)
    let watch = try decoder.decode(WatchRunRequest().encoded, as: WatchRunRequest.fullName)
    #expect(watch.compact == #"{"runId":"","resumeToken":"","skipHistory":false,"stay":false}"#)
    let series = try decoder.decode(MetricSeries().encoded, as: MetricSeries.fullName)
    #expect(
      series.compact
        == #"{"key":"","steps":[],"timesUs":[],"values":[],"epochs":[],"xs":[]}"#)
    let run = try decoder.decode(Run().encoded, as: Run.fullName)
    #expect(run["status"] == .string("RUN_STATUS_UNSPECIFIED"))
    #expect(run["startedAt"] == nil)
    #expect(run["durationMs"] == .string("0"))
  }

  @Test(
    "A message of broken bytes is refused",
    arguments: [
      [0x08], [0x0A, 0x05, 0x01], [0x00], [0x0B], [0x09, 0x01],
      [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    ] as [[UInt8]])
  func brokenBytes(bytes: [UInt8]) {
    #expect(throws: GenericError.self) {
      try MessageDecoder(schema: everyKind(), includesDefaults: false).decode(
        bytes, as: "test.Every")
    }
  }

  @Test("Nesting has a bound")
  func nesting() throws {
    let depth = 40
    let json =
      String(repeating: #"{"messageOne":"#, count: depth) + "{}"
      + String(repeating: "}", count: depth)
    let error = #expect(throws: GenericError.self) {
      try canonical(json, everyKind(), "test.Every")
    }
    #expect(error?.problem.contains("deep") == true)
  }

  @Test("The descriptors tell methods with their rules and comments")
  func descriptors() throws {
    let schema = try ownSchema()
    let method = try #require(schema.methods(named: "CreateRun").first)
    #expect(method.descriptor == TrackingMethods.createRun)
    #expect(method.comment.contains("Reasons: EXPERIMENT_NOT_FOUND"))
    #expect(schema.methods(named: "needletail.tracking.v1.Tracking/AppendMetrics").count == 1)
    #expect(
      schema.methods(named: "Tracking.WatchRun").first?.descriptor == TrackingMethods.watchRun)
    #expect(schema.methods(named: "Run").isEmpty)
    let run = try #require(schema.messages["needletail.tracking.v1.Run"])
    #expect(run.field(named: "startedAt")?.isOptional == true)
    #expect(run.field(named: "created_at")?.number == 11)
    #expect(schema.enums["needletail.rpc.v1.HealthResponse.State"]?.name(of: 1) == "STATE_READY")
  }

  @Test("A description shows a method's signature, comments and messages")
  func description() throws {
    let description = SchemaDescription(schema: try ownSchema())
    let method = try #require(description.find("WatchRun"))
    #expect(method.text.contains("rpc WatchRun(WatchRunRequest) returns (stream WatchRunResponse)"))
    #expect(method.text.contains("bool skip_history = 3;"))
    #expect(description.find("MetricSeries")?.text.contains("repeated sint64 steps = 2;") == true)
    #expect(description.find("RunStatus")?.text.contains("RUN_STATUS_FAILED = 4;") == true)
    #expect(description.find("Tracking")?.json["name"]?.text == "needletail.tracking.v1.Tracking")
    #expect(description.find("Nothing") == nil)
  }
}
