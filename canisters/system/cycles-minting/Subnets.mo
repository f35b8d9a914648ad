/// Which subnets a principal may create canisters on.
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Types "Types";

module {
  public type Subnets = {
    var defaults : [Principal];
    types : Map.Map<Text, [Principal]>;
    authorized : Map.Map<Principal, [Principal]>;
  };

  public func empty() : Subnets = {
    var defaults = [] : [Principal];
    types = Map.empty<Text, [Principal]>();
    authorized = Map.empty<Principal, [Principal]>();
  };

  /// The subnets to try for `creator`, or why its choice is not possible.
  public func eligible(
    subnets : Subnets,
    creator : Principal,
    subnetType : ?Text,
    selection : ?Types.SubnetSelection,
  ) : { #ok : [Principal]; #err : Text } {
    let choice = switch (subnetType, selection) {
      case (?_, ?_) return #err "subnet_selection and subnet_type cannot both be specified: leave subnet_type out, it is deprecated";
      case (?_, null) ?#Filter { subnet_type = subnetType };
      case (null, given) given;
    };
    switch (choice) {
      case (?#Subnet { subnet }) {
        if (contains(subnets.defaults, subnet) or contains(authorizedFor(subnets, creator), subnet) or hasType(subnets, subnet)) #ok([subnet]) else #err(
          "Subnet " # Principal.toText(subnet) # " does not exist or " # Principal.toText(creator) # " is not authorized to deploy to that subnet."
        );
      };
      case (?#Filter { subnet_type = ?name }) switch (Map.get(subnets.types, Text.compare, name)) {
        case (?found) #ok found;
        case null #err("Provided subnet type " # name # " does not exist");
      };
      case _ {
        let own = authorizedFor(subnets, creator);
        #ok(if (own.size() > 0) own else subnets.defaults);
      };
    };
  };

  /// Sets the subnets of one principal, or those of everybody.
  public func authorize(subnets : Subnets, args : Types.SetAuthorizedSubnetworkListArgs) = switch (args.who) {
    case null subnets.defaults := args.subnets;
    case (?principal) if (args.subnets.size() == 0) Map.remove(subnets.authorized, Principal.compare, principal) else Map.add(
      subnets.authorized,
      Principal.compare,
      principal,
      args.subnets,
    );
  };

  /// Adds or removes a subnet type; a type in use cannot be removed. Returns a complaint or null.
  public func updateType(subnets : Subnets, args : Types.UpdateSubnetTypeArgs) : ?Text = switch (args) {
    case (#Add name) {
      if (Map.containsKey(subnets.types, Text.compare, name)) return ?("Subnet type already exists: " # name);
      Map.add(subnets.types, Text.compare, name, []);
      null;
    };
    case (#Remove name) switch (Map.get(subnets.types, Text.compare, name)) {
      case null ?("Subnet type does not exist: " # name);
      case (?assigned) {
        if (assigned.size() > 0) return ?("Subnet type has subnets assigned to it: " # name);
        Map.remove(subnets.types, Text.compare, name);
        null;
      };
    };
  };

  /// Assigns subnets to a type or takes them from it. Returns a complaint or null.
  public func assign(subnets : Subnets, args : Types.ChangeSubnetTypeAssignmentArgs) : ?Text {
    let (adding, list) = switch (args) {
      case (#Add list) (true, list);
      case (#Remove list) (false, list);
    };
    let current = switch (Map.get(subnets.types, Text.compare, list.subnet_type)) {
      case (?found) found;
      case null return ?("Subnet type does not exist: " # list.subnet_type);
    };
    for (subnet in list.subnets.vals()) {
      if (adding and (hasType(subnets, subnet) or contains(subnets.defaults, subnet))) {
        return ?("Subnet is already assigned: " # Principal.toText(subnet));
      };
      if (not adding and not contains(current, subnet)) {
        return ?("Subnet is not assigned to that type: " # Principal.toText(subnet));
      };
    };
    let changed = if (adding) Array.concat(current, list.subnets) else Array.filter<Principal>(current, func subnet = not contains(list.subnets, subnet));
    Map.add(subnets.types, Text.compare, list.subnet_type, changed);
    null;
  };

  public func typeList(subnets : Subnets) : [(Text, [Principal])] = Iter.toArray(Map.entries(subnets.types));

  public func authorizedList(subnets : Subnets) : [(Principal, [Principal])] = Iter.toArray(Map.entries(subnets.authorized));

  func authorizedFor(subnets : Subnets, principal : Principal) : [Principal] = switch (Map.get(subnets.authorized, Principal.compare, principal)) {
    case (?found) found;
    case null [];
  };

  func hasType(subnets : Subnets, subnet : Principal) : Bool {
    for (members in Map.values(subnets.types)) {
      if (contains(members, subnet)) return true;
    };
    false;
  };

  func contains(list : [Principal], principal : Principal) : Bool {
    for (member in list.vals()) {
      if (member == principal) return true;
    };
    false;
  };
};
