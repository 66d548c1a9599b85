import ObjectStore
import Testing

/// Listings and the names of objects.
extension StoreConformance {
    func listIsOrderedByUTF8Bytes() async throws {
        // In this order by bytes: `-` 2D, `.` 2E, `/` 2F, `0` 30, upper before lower case, UTF-8 after ASCII, and
        // U+FB00 (EF AC 80) before U+1F600 (F0 9F 98 80), which UTF-16 order turns round.
        let names = [
            "a", "a-b", "a-b/c", "a.b", "a/", "a/b", "a/b-c", "a/b/c", "a0", "aB", "ab", "b!", "b/x", "é", "ﬀ", "😀",
            "😀/x",
        ]
        for name in names.shuffled() { try await put(name, "") }
        #expect(try await listAll().names == names)
        let folded = try await listAll(delimiter: "/")
        #expect(folded.names == ["a", "a-b", "a.b", "a0", "aB", "ab", "b!", "é", "ﬀ", "😀"])
        #expect(folded.groups == ["a-b/", "a/", "b/", "😀/"])
    }

    func listPagesJoinToTheWhole() async throws {
        let names = (0..<23).map { "d\($0 / 5)/" + ($0 % 2 == 0 ? "e/" : "") + "f\(10 + $0)" }.sorted()
        for name in names { try await put(name, name) }
        for limit in [1, 2, 7, 22, 23, 24] {
            let all = try await listAll(limit: limit)
            #expect(all.names == names)
            #expect(all.pages == (names.count + limit - 1) / limit)
        }
    }

    func listWithDelimiterFoldsAndPages() async throws {
        for name in ["a/1", "a/2", "b", "c/d/1", "c/d/2", "c/e", "d"] { try await put(name, name) }
        for limit in [1, 2, 3, 4, 10] {
            let all = try await listAll(delimiter: "/", limit: limit)
            #expect(all.names == ["b", "d"])
            #expect(all.groups == ["a/", "c/"])
        }
        let below = try await listAll("c/", delimiter: "/")
        #expect(below.names == ["c/e"] && below.groups == ["c/d/"])
        let pages = try await store.list(prefix: prefix, delimiter: "/", continuation: nil, limit: 1)
        #expect(pages.commonPrefixes == [prefix + "a/"] && pages.objects.isEmpty && pages.continuation != nil)
    }

    func listWithAnyDelimiter() async throws {
        for name in ["a-1", "a-2/x", "a/3-4", "b--c", "plain"] { try await put(name, name) }
        let dashed = try await listAll(delimiter: "-")
        #expect(dashed.names == ["plain"] && dashed.groups == ["a-", "a/3-", "b-"])
        let long = try await listAll(delimiter: "--", limit: 1)
        #expect(long.names == ["a-1", "a-2/x", "a/3-4", "plain"] && long.groups == ["b--"])
    }

    func listPrefixNeedNotEndAtADelimiter() async throws {
        for name in ["log-1", "log-2/a", "log-2/b", "log/x", "lo", "other"] { try await put(name, name) }
        #expect(try await listAll("log").names == ["log-1", "log-2/a", "log-2/b", "log/x"])
        let folded = try await listAll("log", delimiter: "/")
        #expect(folded.names == ["log-1"] && folded.groups == ["log-2/", "log/"])
        #expect(try await listAll("log-2/a").names == ["log-2/a"])
        #expect(try await listAll("log-2/", delimiter: "/").names == ["log-2/a", "log-2/b"])
    }

    func listOfNothingIsEmpty() async throws {
        try await put("file", "x")
        for name in ["none", "file/", "file/x", "filex", "none/such/"] {
            let all = try await listAll(name, delimiter: "/")
            #expect(all.names.isEmpty && all.groups.isEmpty && all.pages == 1)
        }
    }

    func directoryMarkersAreObjects() async throws {
        try await put("dir/", "", metadata: ["mode": "16877"])
        try await put("dir/sub/", "")
        try await put("dir/file", "x")
        #expect(try await store.head(key("dir/")).metadata == ["mode": "16877"])
        #expect(try await bytes("dir/").isEmpty)
        #expect(try await listAll().names == ["dir/", "dir/file", "dir/sub/"])
        let folded = try await listAll("dir/", delimiter: "/")
        #expect(folded.names == ["dir/", "dir/file"] && folded.groups == ["dir/sub/"])
        try await put("dir/", "a marker may have bytes")
        #expect(try await text("dir/") == "a marker may have bytes")
        try await store.delete(key("dir/file"), ifMatch: nil)
        try await store.delete(key("dir/sub/"), ifMatch: nil)
        #expect(try await listAll().names == ["dir/"])
        try await put("dir/", "")
        try await store.delete(key("dir/"), ifMatch: nil)
        await expect(.notFound) { _ = try await store.head(key("dir/")) }
        #expect(try await listAll().names.isEmpty)
    }

    func anObjectBesideItsDirectory() async throws {
        let orders = [["a", "a/x", "a/"], ["a/x", "a", "a/"], ["a/", "a", "a/x"], ["a/x/y", "a/x", "a"]]
        for order in orders {
            for name in order { try await put(name, "at \(name)", metadata: ["name": "n"]) }
            for name in order {
                #expect(try await text(name) == "at \(name)")
                #expect(try await store.head(key(name)).metadata == ["name": "n"])
            }
            #expect(try await listAll().names == order.sorted())
            let folded = try await listAll(delimiter: "/")
            #expect(folded.names == ["a"] && folded.groups == ["a/"])
            try await store.delete(key(order[0]), ifMatch: nil)
            #expect(try await listAll().names == order.dropFirst().sorted())
            #expect(try await text(order[1]) == "at \(order[1])")
            _ = try await store.delete(order.map { key($0) })
            #expect(try await listAll().names.isEmpty)
        }
    }

    /// Legal keys all, though no file system has such names.
    static let oddNames = [
        ".", "..", "../up", "./here", "a/../b", "a/./b", "//", "a//b", "a//", "/lead", "/", "tab\tkey", "new\nline",
        "percent%41", "a%2Fb", "star*?[x]", "quote\"'<&>", "back\\slash", "colon:semi;", " space ", "plus+", "~",
        ".sluice-store", ".sluice-store/keys/x", "%", "%/", "\u{1}ctrl",
    ]

    func keysThatNoPathCanCarry() async throws {
        let names = Self.oddNames.sorted { ObjectKey($0) < ObjectKey($1) }
        for name in names { try await put(name, "at \(name)", metadata: ["odd": "yes"]) }
        for name in names {
            #expect(try await text(name) == "at \(name)")
            #expect(try await store.head(key(name)).metadata == ["odd": "yes"])
        }
        #expect(try await listAll().names == names)
        #expect(try await listAll(limit: 3).names == names)
        _ = try await store.delete(names.map { key($0) })
        #expect(try await listAll().names.isEmpty)
    }

    func longKeys() async throws {
        let room = ObjectKey.maximumLength - prefix.utf8.count
        let names = [
            String(repeating: "n", count: 255), String(repeating: "n", count: 256), String(repeating: "n", count: room),
            String(repeating: "n", count: 256) + "/x", String(repeating: "n", count: 64) + "//-",
            String(repeating: "n", count: 64) + "-//", String(repeating: "d/", count: room / 2),
            String(repeating: "é", count: room / 2), String(repeating: "/", count: room),
        ].sorted { ObjectKey($0) < ObjectKey($1) }
        for name in names { try await put(name, "\(name.count)") }
        for name in names { #expect(try await text(name) == "\(name.count)") }
        #expect(try await listAll().names == names)
        _ = try await store.delete(names.map { key($0) })
        #expect(try await listAll().names.isEmpty)
    }

    func keysOutsideTheLimitAreRefused() async throws {
        let long = String(repeating: "n", count: ObjectKey.maximumLength + 1 - prefix.utf8.count)
        await expect(.invalidKey) { try await put(long, "x") }
    }

    func canonicallyEquivalentKeysAreDifferent() async throws {
        let composed = "caf\u{E9}"
        let decomposed = "cafe\u{301}"
        try await put(composed, "composed")
        try await put(decomposed, "decomposed")
        #expect(try await text(composed) == "composed")
        #expect(try await text(decomposed) == "decomposed")
        let listed = try await listAll().names.map { Array($0.utf8) }
        #expect(listed == [Array(decomposed.utf8), Array(composed.utf8)])
    }
}
