internal import Messages

/// A number with at most six significant digits, as short as they allow.
func short(_ value: Double) -> String {
  guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "Inf" }
  if value == 0 { return "0" }
  var exponent = 0
  var scaled = value.magnitude
  while scaled >= 10, exponent < 400 {
    scaled /= 10
    exponent += 1
  }
  while scaled < 1, exponent > -400 {
    scaled *= 10
    exponent -= 1
  }
  if (-4..<15).contains(exponent) {
    // Rounded at the sixth digit, or at the point where there are more before it.
    let decimals = max(0, 5 - exponent)
    return decimal(value, decimals)
  }
  if scaled >= 9.999995 {
    scaled /= 10
    exponent += 1
  }
  let sign = value < 0 ? "-" : ""
  return "\(sign)\(decimal(scaled, 5))e\(exponent)"
}

/// A number with so many decimals, zeros at the end left out.
private func decimal(_ value: Double, _ decimals: Int) -> String {
  var power = 1.0
  for _ in 0..<decimals { power *= 10 }
  let scaled = (value.magnitude * power).rounded()
  guard scaled < 9e18 else { return "\(value)" }
  var digits = String(UInt64(scaled))
  while digits.count <= decimals { digits = "0" + digits }
  var whole = String(digits.dropLast(decimals))
  var fraction = String(digits.suffix(decimals))
  while fraction.hasSuffix("0") { fraction.removeLast() }
  if value < 0, scaled > 0 { whole = "-" + whole }
  return fraction.isEmpty ? whole : "\(whole).\(fraction)"
}

/// "2026-01-02 03:04:05", UTC; "–" for none.
func short(_ time: Timestamp?) -> String {
  guard let time else { return "–" }
  let seconds =
    time.microseconds >= 0
    ? time.microseconds / 1_000_000 : (time.microseconds - 999_999) / 1_000_000
  let text = CalendarTime.format(seconds: seconds, nanoseconds: 0)
  return text.replacing("T", with: " ").replacing("Z", with: "")
}

/// "3.2 s", "4 min 10 s", "2 h 5 min".
func duration(milliseconds: Int64) -> String {
  let seconds = milliseconds / 1_000
  if milliseconds < 1_000 { return "\(milliseconds) ms" }
  if seconds < 60 { return "\(short(Double(milliseconds / 100) / 10)) s" }
  if seconds < 3_600 { return "\(seconds / 60) min \(seconds % 60) s" }
  return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
}

/// "running" for RUN_STATUS_RUNNING, in its colour.
func word(_ status: RunStatus) -> String {
  status.name.replacing("RUN_STATUS_", with: "").lowercased()
}

/// The colour of a run's status.
func style(_ status: RunStatus) -> Console.Style {
  switch status {
  case .running: .cyan
  case .completed: .green
  case .failed: .red
  case .cancelled: .yellow
  case .unspecified, .scheduled, .unrecognized: .dim
  }
}
