import List "mo:core/pure/List";
import Runtime "mo:core/Runtime";

/// Notes that visitors leave, the newest first. What it holds is kept over upgrades.
persistent actor {
  let maxNotes = 1_000;
  let maxLength = 200;
  var entries = List.empty<Text>();

  /// Adds a note; traps when it is too long or there are too many.
  public func add(text : Text) : async () {
    if (text.size() > maxLength) Runtime.trap("a note has 200 characters at most");
    if (List.size(entries) >= maxNotes) Runtime.trap("there is no room for more notes");
    entries := List.pushFront(entries, text);
  };

  public query func notes() : async [Text] {
    List.toArray(entries);
  };
};
