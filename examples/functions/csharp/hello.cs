// SPDX-License-Identifier: MIT
// Runs in a runtime of your own, which Mono is: docs/runtimes.md.
using System;
using System.IO;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;

[DataContract]
class Event {
	[DataMember] public string name = "Anonymous";
}

[DataContract]
class Answer {
	[DataMember] public string message;
	[DataMember] public string runtime = "csharp";
}

class Program {
	static void Main(string[] args) {
		Event request;
		using (var input = File.OpenRead(args[0]))
			request = (Event)new DataContractJsonSerializer(typeof(Event)).ReadObject(input);
		var answer = new Answer { message = "Hello, " + request.name + "!" };
		using (var output = Console.OpenStandardOutput())
			new DataContractJsonSerializer(typeof(Answer)).WriteObject(output, answer);
	}
}
