import Messages
import Testing

@testable import needletail

@Suite struct RunColumnsTests {
  @Test(
    "A column is named as in a search",
    arguments: [
      ("status", "STATUS", .attribute(.status)),
      ("attributes.run_id", "RUN_ID", .attribute(.id)),
      ("Attr.duration_ms", "DURATION_MS", .attribute(.durationMs)),
      ("metrics.val/loss", "metrics.val/loss", .metric("val/loss")),
      ("metric.a.b", "metric.a.b", .metric("a.b")),
      ("params.`a,b`", "params.`a,b`", .parameter("a,b")),
      ("tags.\"it\"\"s\"", "tags.\"it\"\"s\"", .tag("it\"s")),
    ] as [(String, String, RunColumn.Source)])
  func naming(name: String, title: String, source: RunColumn.Source) throws {
    let column = try RunColumn(named: name)
    #expect(column.title == title)
    #expect(column.source == source)
  }

  @Test("Commas part columns, but not within quotes")
  func list() throws {
    let columns = try RunColumns("name, metrics.`a,b`,params.lr,metrics.loss,metrics.loss,tags.t")
    #expect(columns.all.count == 6)
    #expect(columns.metrics == ["a,b", "loss"])
    #expect(columns.parameters == ["lr"])
    #expect(columns.tags == ["t"])
    #expect(columns.needSearch)
    #expect(try !RunColumns("id,name").needSearch)
  }

  @Test(
    "What is no column is refused with what there is",
    arguments: [
      ("loss", "no column loss; there are archive_time, artifact_uri,"),
      ("name,metric_loss", "no column metric_loss"),
      ("dataset.name", "no column dataset.name"),
      ("attributes.metrics.loss", "no column attributes.metrics.loss"),
      ("name,", "without a name"),
      ("", "without a name"),
      ("metrics.", "without a name"),
      ("metrics.`loss", "not closed"),
    ])
  func refusals(text: String, said: String) {
    let mistake = #expect(throws: RunColumnMistake.self) { try RunColumns(text) }
    #expect(mistake?.text.contains(said) == true)
  }

  @Test("A row has a dash for what a run does not have, and one line of what it has")
  func cells() throws {
    var found = FoundRun()
    found.run = Run()
    found.run?.name = "swift-otter"
    found.run?.durationMs = 4_200
    var loss = MetricSummary()
    loss.key = "loss"
    loss.lastValue = 0.123456789
    found.metrics = [loss]
    found.parameters = [Parameter(key: "note", value: "first\nsecond")]
    let columns = try RunColumns(
      "name,duration_ms,parent_run_id,end_time,metrics.loss,metrics.none,params.note,tags.none")
    #expect(
      columns.all.map { $0.cell(of: found) }
        == ["swift-otter", "4200", "–", "–", "0.123457", "–", "first", "–"])
    let lines = columns.table([found]).split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines[0].contains("DURATION_MS") && lines[0].contains("metrics.loss"))
  }
}
