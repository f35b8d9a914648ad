import List "mo:core/List";
import Runtime "mo:core/Runtime";
import Text "mo:core/Text";

/// Notes that visitors leave. What it holds is kept over upgrades.
persistent actor {
  let maxNotes = 1_000;
  let maxLength = 200;
  let entries = List.empty<Text>();

  /// Adds a note; traps when it is too long or there are too many.
  public func add(text : Text) : async () {
    if (Text.size(text) > maxLength) Runtime.trap("a note has 200 characters at most");
    if (List.size(entries) >= maxNotes) Runtime.trap("there is no room for more notes");
    List.add(entries, text);
  };

  public query func notes() : async [Text] {
    List.toArray(entries);
  };
};
